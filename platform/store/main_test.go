package store_test

import (
	"context"
	"testing"

	"changeover/internal/sandbox/sandboxtest"
	"changeover/platform/platformtest"
	"changeover/platform/store"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// flavors runs a test on both kinds of servers at once.
func flavors(t *testing.T, fn func(t *testing.T, p *platformtest.Platform)) {
	t.Helper()
	t.Parallel()
	for name, on := range map[string]func(testing.TB, ...sandboxtest.Option) *sandboxtest.Server{
		"MySQL": sandboxtest.MySQLSource, "MariaDB": sandboxtest.MariaDBSource} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fn(t, platformtest.New(t, on(t)))
		})
	}
}

// somebody is a new user with a session.
func somebody(t testing.TB, p *platformtest.Platform) (store.User, store.Token) {
	t.Helper()
	token := newToken(t)
	u, _, err := p.Store.NewGuest(context.Background(), platformtest.Op("guest"), token, "en")
	if err != nil {
		t.Fatal(err)
	}
	return u, token
}

// person is a new user with an account of that kind.
func person(t testing.TB, p *platformtest.Platform, kind store.Kind, login string) store.User {
	t.Helper()
	u, _, err := p.Store.NewAccount(context.Background(), platformtest.Op(login), newToken(t),
		store.Account{Kind: kind, Login: login, Password: "correct horse", Name: "Zoë 🦊 " + login}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
