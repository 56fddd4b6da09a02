package api

import (
	"cmp"
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"tocsin/internal/notice"
)

func (f *fake) Users(context.Context) ([]notice.User, error) {
	defer f.lock()()
	return slices.Clone(f.users), f.fail
}

func (f *fake) AddUser(_ context.Context, u notice.User, who string) (notice.User, error) {
	defer f.lock()()
	u.CreatedBy = who
	f.users = append(f.users, u)
	return u, f.fail
}

func (f *fake) changeUser(name string, change func(*notice.User)) (notice.User, error) {
	defer f.lock()()
	for i := range f.users {
		if f.users[i].Name == name {
			change(&f.users[i])
			return f.users[i], f.fail
		}
	}
	return notice.User{}, notice.NotFound("there is no person of that name")
}

func (f *fake) AddLink(_ context.Context, name string, hash [32]byte, span time.Duration, who string) (notice.User, error) {
	return f.changeUser(name, func(*notice.User) { f.link, f.span, f.who = hash, span, who })
}

func (f *fake) SetUserRole(_ context.Context, name string, role notice.TokenRole, who string) (notice.User, error) {
	return f.changeUser(name, func(u *notice.User) { u.Role, f.who = role, who })
}

func (f *fake) RemoveUser(_ context.Context, name, who string) (notice.User, error) {
	at := time.Date(2026, 11, 9, 3, 14, 7, 0, time.UTC)
	return f.changeUser(name, func(u *notice.User) { u.RemovedAt, u.RemovedBy = &at, who })
}

// session is the secret of the only session that there can be; it is of the first of the people.
const session = "s3ss10n"

func (f *fake) Session(_ context.Context, hash [32]byte, _ time.Duration) (notice.Session, error) {
	defer f.lock()()
	if hash != sha256.Sum256([]byte(session)) || len(f.users) == 0 {
		return notice.Session{}, cmp.Or(f.fail, error(notice.NotFound("there is no such session")))
	}
	return notice.Session{User: f.users[0]}, f.fail
}

func (f *fake) BeginSession(_ context.Context, name string, _ [32]byte, _ string) (notice.User, error) {
	return f.changeUser(name, func(*notice.User) {})
}

func (f *fake) EndSession(context.Context, [32]byte) error { return f.fail }

func (f *fake) TakeLink(context.Context, [32]byte, [32]byte) (notice.User, error) {
	return notice.User{}, notice.NotFound("this link was used before, or has expired")
}

func (f *fake) Password(context.Context, string) (string, error) { return "", f.fail }

func (f *fake) SetPassword(_ context.Context, name, _ string, _ [32]byte) (notice.User, error) {
	return f.changeUser(name, func(u *notice.User) { u.Password = true })
}

func (f *fake) Federate(_ context.Context, u notice.User, _ string, _ [32]byte) (notice.User, error) {
	return u, f.fail
}
