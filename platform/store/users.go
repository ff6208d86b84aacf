package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"net/mail"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// Kind is what somebody is to the platform.
type Kind string

// The kinds of users.
const (
	Guest     Kind = "guest" // plays without an account
	Student   Kind = "student"
	Teacher   Kind = "teacher"
	Organiser Kind = "organiser"
	Admin     Kind = "admin"
)

// User is somebody who uses the platform.
type User struct {
	ID         uint32 `json:"id"`
	Name       string `json:"name"`
	Kind       Kind   `json:"kind"`
	Locale     string `json:"locale"`
	TotalLines uint32 `json:"totalLines"`
}

// Token is what a browser's cookie holds: the database knows only its digest. The browser makes it,
// so that a retry of the request that opened the session finds the same one.
type Token [32]byte

// ParseToken reads base64url of 32 bytes.
func ParseToken(s string) (t Token, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil || len(raw) != len(t) {
		return t, badValue("session", "is not base64url of 32 bytes")
	}
	copy(t[:], raw)
	return t, nil
}

func (t Token) String() string { return base64.RawURLEncoding.EncodeToString(t[:]) }

func (t Token) key() []byte {
	sum := sha256.Sum256(t[:])
	return sum[:]
}

// seenEvery is how stale a session's seen_at may grow before it is written again.
const seenEvery = 10 * time.Minute

// touches is how many sessions' uses are noted at once, touchTime how long one may take.
const (
	touches   = 4
	touchTime = 5 * time.Second
)

// Session tells whose session it is: a Refusal of NoSession if there is none.
func (s *Store) Session(ctx context.Context, token Token) (User, error) {
	var u User
	var seen time.Time
	err := s.read(ctx, func(db *sql.DB) error {
		return db.QueryRowContext(ctx, `SELECT u.id, u.name, u.kind, u.locale, u.total_lines, x.seen_at
FROM sessions x JOIN users u ON u.id = x.user_id WHERE x.id = ? AND u.deleted_at IS NULL`, token.key()).
			Scan(&u.ID, &u.Name, &u.Kind, &u.Locale, &u.TotalLines, &seen)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return u, refuse(NoSession, "nobody is signed in")
	}
	if err != nil {
		return u, err
	}
	if time.Since(seen) > seenEvery {
		s.touch(ctx, token)
	}
	return u, nil
}

// touch notes that the session is in use. It does so in a goroutine of its own, because who only
// reads must not wait when writes are held; it is bounded in time, and there are at most as many as
// s.touching takes. What finds no place is noted at the session's next request.
func (s *Store) touch(ctx context.Context, token Token) {
	select {
	case s.touching <- struct{}{}:
	default:
		return
	}
	go func() {
		defer func() { <-s.touching }()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), touchTime)
		defer cancel()
		_, err := s.write(ctx, func(t *tx) error {
			_, err := t.exec("UPDATE sessions SET seen_at = ? WHERE id = ? AND seen_at < ?", stamp(now()), token.key(), stamp(now()))
			return err
		})
		if err != nil {
			s.log.Debug().Err(err).Msg("a session's use was not noted")
		}
	}()
}

// openSession makes the session, or leaves it as it is.
func openSession(t *tx, token Token, user uint32) error {
	at := stamp(now())
	_, err := t.exec("INSERT INTO sessions (id, user_id, created_at, seen_at) VALUES (?, ?, ?, ?) ON DUPLICATE KEY UPDATE user_id = VALUES(user_id)",
		token.key(), user, at, at)
	return err
}

// NewGuest makes somebody who plays without an account, with a session.
func (s *Store) NewGuest(ctx context.Context, op Op, token Token, locale string) (User, Answer, error) {
	u := User{Kind: Guest, Locale: locale}
	if len(locale) > 16 || !ascii(locale, "-") {
		return u, Answer{}, badValue("locale", "is not a language tag")
	}
	var a Answer
	epoch, err := s.write(ctx, func(t *tx) error {
		a.Replayed = false
		switch found, err := sessionBefore(t, op, token); {
		case err == nil:
			u, a.Replayed = found, true
			return nil
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		id, err := t.insert("INSERT INTO users (op_id, op_digest, kind, name, locale, created_at) VALUES (?, ?, 'guest', '', ?, ?)",
			op.id(), op.digest(), locale, stamp(now()))
		if isDuplicateOp(err) {
			a.Replayed = true
			if u, err = replayedUser(t, op); err != nil {
				return err
			}
			return openSession(t, token, u.ID)
		}
		if err != nil {
			return err
		}
		u.ID = uint32(id)
		return openSession(t, token, u.ID)
	})
	a.Epoch = epoch
	return u, a, err
}

// sessionBefore finds whose session the token is already. That may be an account by now, which has
// claimed the guest and so has another operation: a late replay of the guest's must not take the
// session from it.
func sessionBefore(t *tx, op Op, token Token) (u User, err error) {
	var id, digest []byte
	err = t.row("SELECT u.id, u.name, u.kind, u.locale, u.total_lines, u.op_id, u.op_digest FROM sessions x JOIN users u ON u.id = x.user_id WHERE x.id = ?", token.key()).
		Scan(&u.ID, &u.Name, &u.Kind, &u.Locale, &u.TotalLines, &id, &digest)
	if err == nil && string(id) == string(op.ID[:]) {
		err = op.replayed(digest)
	}
	return u, err
}

func replayedUser(t *tx, op Op) (u User, err error) {
	var digest []byte
	if err := t.row("SELECT id, name, kind, locale, total_lines, op_digest FROM users WHERE op_id = ?", op.id()).
		Scan(&u.ID, &u.Name, &u.Kind, &u.Locale, &u.TotalLines, &digest); err != nil {
		return u, err
	}
	return u, op.replayed(digest)
}

// Account is what a person says of themselves when signing up.
type Account struct {
	Kind      Kind
	Login     string
	Password  string
	Name      string
	Email     string // only its digest is kept; may be empty
	BirthYear int    // 0: not said
	Locale    string
}

func (a *Account) check() (err error) {
	switch a.Kind {
	case Student, Teacher, Organiser:
	default:
		return badValue("kind", "is %q; it can be student, teacher or organiser", a.Kind)
	}
	a.Login = strings.ToLower(strings.TrimSpace(a.Login))
	if len(a.Login) < 3 || len(a.Login) > 40 || !ascii(a.Login, "._-") {
		return badValue("login", "needs 3 to 40 letters, digits, points and dashes")
	}
	if len(a.Password) < 8 || len(a.Password) > 72 {
		return badValue("password", "needs 8 to 72 bytes")
	}
	if a.Name, err = text("name", a.Name, 1, 80); err != nil {
		return err
	}
	if a.Email = strings.ToLower(strings.TrimSpace(a.Email)); a.Email != "" {
		if _, err := mail.ParseAddress(a.Email); err != nil || len(a.Email) > 254 {
			return badValue("email", "is not an address")
		}
	}
	if a.BirthYear != 0 {
		if err := within("birthYear", a.BirthYear, 1901, now().Year()); err != nil {
			return err
		}
	}
	if a.Locale == "" {
		a.Locale = "en"
	}
	if len(a.Locale) > 16 || !ascii(a.Locale, "-") {
		return badValue("locale", "is not a language tag")
	}
	return nil
}

func (a *Account) emailHash() any {
	if a.Email == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(a.Email))
	return sum[:]
}

func (a *Account) birthYear() any {
	if a.BirthYear == 0 {
		return nil
	}
	return a.BirthYear
}

// NewAccount makes an account and signs it in. If guest isn't nil, that guest becomes the account
// and keeps the work done so far.
func (s *Store) NewAccount(ctx context.Context, op Op, token Token, a Account, guest *User) (User, Answer, error) {
	u := User{Name: a.Name, Kind: a.Kind}
	if err := a.check(); err != nil {
		return u, Answer{}, err
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(a.Password), bcrypt.MinCost+4)
	if err != nil {
		return u, Answer{}, err
	}
	u = User{Name: a.Name, Kind: a.Kind, Locale: a.Locale}
	var answer Answer
	answer.Epoch, err = s.write(ctx, func(t *tx) error {
		answer.Replayed = false
		switch found, err := replayedUser(t, op); {
		case err == nil:
			u, answer.Replayed = found, true
			return openSession(t, token, u.ID)
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		if guest != nil && guest.Kind == Guest {
			// The row's operation becomes the one that claimed it; the guest's own is long answered.
			n, err := t.change(`UPDATE users SET op_id = ?, op_digest = ?, kind = ?, name = ?, login = ?, email_hash = ?, password = ?, birth_year = ?, locale = ?
WHERE id = ? AND kind = 'guest'`, op.id(), op.digest(), a.Kind, a.Name, a.Login, a.emailHash(), hash, a.birthYear(), a.Locale, guest.ID)
			if err != nil {
				return takenBy(err)
			}
			if n == 1 {
				u.ID = guest.ID
				if err := t.row("SELECT total_lines FROM users WHERE id = ?", u.ID).Scan(&u.TotalLines); err != nil {
					return err
				}
				return openSession(t, token, u.ID)
			}
		}
		id, err := t.insert(`INSERT INTO users (op_id, op_digest, kind, name, login, email_hash, password, birth_year, locale, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, op.id(), op.digest(), a.Kind, a.Name, a.Login, a.emailHash(), hash, a.birthYear(), a.Locale, stamp(now()))
		if err != nil {
			return takenBy(err)
		}
		u.ID = uint32(id)
		return openSession(t, token, u.ID)
	})
	return u, answer, err
}

// takenBy says what is taken: a duplicate of another than the operation's key.
func takenBy(err error) error {
	switch key, _ := duplicate(err); key {
	case "users_login":
		return &Refusal{Code: Taken, Field: "login", Message: "somebody else has this name already"}
	case "users_email":
		return &Refusal{Code: Taken, Field: "email", Message: "this address has an account already"}
	case "users_op":
		return errRaced
	}
	return err
}

// errRaced: another request with the same operation was a moment earlier. The next try meets its row.
var errRaced = errRetry("the same operation is being carried out by another request")

type errRetry string

func (e errRetry) Error() string { return string(e) }

// noPassword makes signing in as somebody unknown take as long as with a wrong password.
var noPassword = []byte("$2a$08$5wcgJcTmWmcvyUr2Fr1yXOLv1QTz.FZsKXTbRXkU1NXxpJ7DUmhK2")

// SignIn opens a session of an account.
func (s *Store) SignIn(ctx context.Context, token Token, login, password string) (User, Answer, error) {
	var u User
	hash := noPassword
	err := s.read(ctx, func(db *sql.DB) error {
		return db.QueryRowContext(ctx, "SELECT id, name, kind, locale, total_lines, password FROM users WHERE login = ? AND deleted_at IS NULL",
			strings.ToLower(strings.TrimSpace(login))).Scan(&u.ID, &u.Name, &u.Kind, &u.Locale, &u.TotalLines, &hash)
	})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return u, Answer{}, err
	}
	known := err == nil
	if bcrypt.CompareHashAndPassword(hash, []byte(password)) != nil || !known {
		return User{}, Answer{}, refuse(WrongPassword, "name and password don't go together")
	}
	var a Answer
	a.Epoch, err = s.write(ctx, func(t *tx) error { return openSession(t, token, u.ID) })
	return u, a, err
}

// SignOut ends a session; there may be none.
func (s *Store) SignOut(ctx context.Context, token Token) (a Answer, err error) {
	a.Epoch, err = s.write(ctx, func(t *tx) error {
		_, err := t.exec("DELETE FROM sessions WHERE id = ?", token.key())
		return err
	})
	return a, err
}

// MakeAdmin gives an account the admin's kind.
func (s *Store) MakeAdmin(ctx context.Context, login string) error {
	_, err := s.write(ctx, func(t *tx) error {
		n, err := t.change("UPDATE users SET kind = 'admin' WHERE login = ?", login)
		if err == nil && n == 0 {
			return refuse(NotFound, "nobody is called %s", login)
		}
		return err
	})
	return err
}
