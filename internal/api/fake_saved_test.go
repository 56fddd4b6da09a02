package api

import (
	"context"

	"tocsin/internal/notice"
)

func (f *fake) NoticeBody(context.Context, string) (notice.Body, error) {
	return notice.Body{Key: "a.identified", Incident: "a", Kind: notice.Outage, Phase: "identified"}, f.fail
}

func (f *fake) SavedDrafts(context.Context) ([]notice.SavedDraft, error) { return nil, f.fail }

func (f *fake) SavedDraft(context.Context, int64) (notice.SavedDraft, error) {
	return notice.SavedDraft{Number: 7, Version: 1, Files: map[string][]byte{"notice.yaml": []byte("key: a\n")}}, f.fail
}

func (f *fake) AddSavedDraft(context.Context, map[string][]byte, string) (int64, error) {
	return 7, f.fail
}

func (f *fake) SaveDraft(_ context.Context, _ int64, version int, _ map[string][]byte, _ string) (int, error) {
	return version + 1, f.fail
}

func (f *fake) DeleteSavedDraft(context.Context, int64, string) error { return f.fail }

func (f *fake) Ready(string) notice.Ready {
	return notice.Ready{Templates: []notice.ReadyTemplate{{Name: "outage", Required: map[string]string{"component": "webmail"}}}, Phrases: []notice.ReadyPhrase{{Name: "cause.power", Text: "Power"}}}
}

func (f *fake) Sample(context.Context, notice.Body, notice.Sampling) (notice.Sample, error) {
	return notice.Sample{Language: "en", Subject: "s", Text: "t", HTML: "<p>t</p>"}, f.fail
}

func (f *fake) Crowd(context.Context, notice.Body) (notice.Crowd, error) {
	return notice.Crowd{Customers: 3, Zones: []notice.Share{{Name: "Europe/Zurich", N: 2}}}, f.fail
}
