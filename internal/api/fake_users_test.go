package api

import (
	"context"
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
