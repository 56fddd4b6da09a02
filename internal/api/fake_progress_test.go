package api

import (
	"context"
	"time"

	"tocsin/internal/notice"
)

func (f *fake) Progress(context.Context, int64) (notice.Progress, error) {
	p := notice.NewProgress(time.Unix(0, 0), time.Unix(1, 0))
	p.Add(0, "main", 2)
	return p, nil
}

func (f *fake) DomainProgress(context.Context, int64, int) ([]notice.DomainProgress, error) {
	return []notice.DomainProgress{{Domain: "example.com", Mails: 2, Left: 2}}, nil
}
