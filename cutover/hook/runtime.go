package hook

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// runtimeAPI is where HAProxy takes commands: a socket's path, or host:port.
type runtimeAPI string

// mostAnswer bounds what is read: statistics have about 300 bytes for each server.
const mostAnswer = 16 << 20

// ask sends one command and reads the whole answer.
func (a runtimeAPI) ask(ctx context.Context, command string) (string, error) {
	network := "tcp"
	if strings.Contains(string(a), "/") {
		network = "unix"
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, string(a))
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	text := ""
	if _, err = fmt.Fprintln(conn, command); err == nil {
		var b []byte
		b, err = io.ReadAll(io.LimitReader(conn, mostAnswer))
		text = string(b)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return "", fmt.Errorf("%s: %w", command, err)
	}
	return text, nil
}

// do sends a command that answers nothing where it succeeds.
func (a runtimeAPI) do(ctx context.Context, command string) error {
	text, err := a.ask(ctx, command)
	if err == nil && strings.TrimSpace(text) != "" {
		err = fmt.Errorf("%s: HAProxy says: %s", command, strings.Join(strings.Fields(text), " "))
	}
	return err
}

// mapValue finds a key in what "show map" answers: a line for each, with an address before it.
func mapValue(text, key string) (value string, ok bool) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 3 && f[1] == key {
			return f[2], true
		}
	}
	return "", false
}

// stats is what HAProxy says of its proxies and servers.
type stats []stat

type stat struct {
	proxy, name string
	status      string
	current     int // connections
}

func (a runtimeAPI) stats(ctx context.Context) (stats, error) {
	text, err := a.ask(ctx, "show stat")
	if err != nil {
		return nil, err
	}
	s, err := readStats(text)
	if err != nil {
		return nil, fmt.Errorf("show stat: %w", err)
	}
	return s, nil
}

func readStats(text string) (stats, error) {
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "# ")))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, errors.New("no answer")
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for _, name := range []string{"pxname", "svname", "status", "scur"} {
		if _, ok := column[name]; !ok {
			return nil, fmt.Errorf("no column %s", name)
		}
	}
	var all stats
	for _, row := range rows[1:] {
		if len(row) < len(rows[0]) {
			continue
		}
		s := stat{proxy: row[column["pxname"]], name: row[column["svname"]], status: row[column["status"]]}
		s.current, _ = strconv.Atoi(row[column["scur"]])
		all = append(all, s)
	}
	return all, nil
}

// server is nil if there is none.
func (s stats) server(backend, name string) *stat {
	for i := range s {
		if s[i].proxy == backend && s[i].name == name {
			return &s[i]
		}
	}
	return nil
}

func (s stat) maintenance() bool { return strings.HasPrefix(s.status, "MAINT") }

// takes tells whether new connections go there: it is up, or nobody looks whether it is.
func (s stat) takes() bool {
	return strings.HasPrefix(s.status, "UP") || strings.HasPrefix(s.status, "no check")
}
