package students

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"syscall"
	"time"
)

// browser sends requests as a page's script does: one at a time in the order of the clicks, each again
// under its operation id until there is a final answer.
type browser struct {
	http    *http.Client
	urls    []string
	at      int    // which of urls; another one after a connection that failed
	cookie  string // the session, as the server set it
	epoch   string // of the last write, as the server set it: a server that has not heard of it looks before it reads
	locale  string
	timeout time.Duration
	random  *rand.Rand
	failed  func(request, why, text string)
}

// response is a final answer.
type response struct {
	status   int
	body     []byte
	epoch    int64
	replayed bool
	tries    int
	first    time.Time     // when the first try was sent
	at       time.Time     // when the answer was there
	service  time.Duration // what the last try took
}

// maxAnswer bounds what is read of an answer: a grid of a large section is far smaller.
const maxAnswer = 8 << 20

// The outbox waits between two tries: from least to most, doubling, half of it by chance.
const (
	leastPause = 200 * time.Millisecond
	mostPause  = 2 * time.Second
)

// send tries until there is a final answer, or ctx ends: then the response says how often it was tried.
// before runs once, just before the first byte.
func (b *browser) send(ctx context.Context, method, path string, body []byte, before func(time.Time) error) (response, error) {
	var r response
	for pause := leastPause; ; pause = min(2*pause, mostPause) {
		sent := time.Now()
		if r.tries == 0 {
			r.first = sent
			if err := before(sent); err != nil {
				return r, err
			}
		}
		r.tries++
		why, err := b.try(ctx, method, path, body, &r)
		if err == nil {
			r.at = time.Now()
			r.service = r.at.Sub(sent)
			return r, nil
		}
		if ctx.Err() != nil {
			return r, context.Cause(ctx)
		}
		b.failed(method+" "+path, why, err.Error())
		select {
		case <-ctx.Done():
			return r, context.Cause(ctx)
		case <-time.After(pause/2 + rand.N(pause/2)):
		}
	}
}

// try sends once. An error is one that the outbox tries again after; why is its class.
func (b *browser) try(ctx context.Context, method, path string, body []byte, r *response) (why string, err error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	connections := 0
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connections++ }})
	req, err := http.NewRequestWithContext(ctx, method, b.urls[b.at]+path, bytes.NewReader(body))
	if err != nil {
		return "address", err
	}
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("Accept-Language", b.locale)
	req.Header.Set("User-Agent", "hourofcode")
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	if b.cookie != "" {
		req.AddCookie(&http.Cookie{Name: "session", Value: b.cookie})
	}
	if b.epoch != "" {
		req.AddCookie(&http.Cookie{Name: "epoch", Value: b.epoch})
	}
	answer, err := b.http.Do(req)
	if err != nil {
		b.at = (b.at + 1) % len(b.urls)
		return networkClass(err), err
	}
	defer func() { _ = answer.Body.Close() }()
	if connections > 1 {
		// What only reads is sent again by the transport, behind our back, when its connection is lost.
		b.failed(method+" "+path, "connection lost", "the connection was lost, and the request sent again on another")
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return "answer cut off", err
	}
	switch answer.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return strconv.Itoa(answer.StatusCode), fmt.Errorf("%s %s: %s: %.200s", method, path, answer.Status, text)
	}
	for _, c := range answer.Cookies() {
		switch c.Name {
		case "session":
			b.cookie = c.Value
		case "epoch":
			b.epoch = c.Value
		}
	}
	r.status, r.body = answer.StatusCode, text
	r.epoch, _ = strconv.ParseInt(answer.Header.Get("Epoch"), 10, 64)
	r.replayed = answer.Header.Get("Replayed") == "1"
	return "", nil
}

// networkClass names what went wrong on the way, in few words: they are counted.
func networkClass(err error) string {
	var timeout net.Error
	var wrapped *url.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection lost"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.As(err, &wrapped):
		return "network"
	}
	return "other"
}

// refusal is a final answer that says no.
type refusal struct {
	Status  int
	Code    string `json:"error"`
	Message string `json:"message"`
	Field   string `json:"field"`
	Version int64  `json:"version"`
}

func (r *refusal) Error() string {
	return fmt.Sprintf("%d %s %s: %s", r.Status, r.Code, r.Field, r.Message)
}

// refused reads a final answer that isn't 2xx.
func refused(r response) *refusal {
	out := &refusal{Status: r.status}
	if err := json.Unmarshal(r.body, out); err != nil || out.Code == "" {
		out.Code, out.Message = strconv.Itoa(r.status), fmt.Sprintf("%.200s", r.body)
	}
	return out
}
