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

func (f *fake) SuppressionsOf(_ context.Context, key string) ([]notice.Suppression, error) {
	return []notice.Suppression{{Number: 1, Address: key, Scope: notice.ScopeAll}}, nil
}

func (f *fake) Suppressing(address, reason string, scope notice.Scope) (notice.SuppressionRow, error) {
	return notice.SuppressionRow{Key: address, Reason: reason, Scope: scope}, nil
}

func (f *fake) Library() notice.Library {
	return notice.Library{Templates: []notice.LibraryTemplate{{Name: "outage", Phases: []string{"identified"}}}, Languages: []notice.LibraryLanguage{{Tag: "en"}}}
}

func (f *fake) Example(template, _, language string) (notice.Sample, error) {
	return notice.Sample{Language: language, Subject: template}, nil
}

func (f *fake) DomainProgress(context.Context, int64, int) ([]notice.DomainProgress, error) {
	return []notice.DomainProgress{{Domain: "example.com", Mails: 2, Left: 2}}, nil
}
