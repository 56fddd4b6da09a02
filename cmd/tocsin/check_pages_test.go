package main

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/internal/config"
	"tocsin/internal/notice"
	"tocsin/internal/optout"
)

// TestCheckSaysWhatLinksInMailsLack when they lead to nothing, to something else, or to something that moves on.
func TestCheckSaysWhatLinksInMailsLack(t *testing.T) {
	t.Parallel()
	pages := optout.New(templateSet(""), "status@example.net")
	mux := http.NewServeMux()
	mux.HandleFunc("/u/", func(w http.ResponseWriter, _ *http.Request) { pages.Gone(w, nil) })
	mux.Handle("/moved/", http.RedirectHandler("/u/check", http.StatusFound))
	server := httptest.NewServer(mux)
	defer server.Close()
	for _, tt := range []struct {
		path, listen string
		retention    time.Duration
		want         []string
	}{
		{"", "0.0.0.0:8081", 0, []string{"one click (RFC 8058) for https alone", "readers reach their pages"}},
		{"", "", 0, []string{"TOCSIN_PUBLIC_LISTEN is not", "readers reach their pages"}},
		{"", "0.0.0.0:8081", 30 * 24 * time.Hour, []string{"TOCSIN_RETENTION has dropped", "readers reach their pages"}},
		{"/moved", "0.0.0.0:8081", 0, []string{"answered by something else (302 Found)"}},
		{"/nothing", "0.0.0.0:8081", 0, []string{"answered by something else (404 Not Found)"}},
	} {
		f := checkPages(t.Context(), config.Serve{Mail: config.Mail{PublicURL: server.URL + tt.path}, Public: config.Public{Listen: tt.listen}, Retention: tt.retention})
		for _, want := range tt.want {
			if !slices.ContainsFunc(f, func(f notice.Finding) bool { return strings.Contains(f.Message, want) }) {
				t.Errorf("%+v: %+v", tt, f)
			}
		}
	}
	f := checkPages(t.Context(), config.Serve{Public: config.Public{Listen: "0.0.0.0:8081"}})
	if len(f) != 1 || f[0].Level != notice.LevelOK || !strings.Contains(f[0].Message, "do not say how to unsubscribe") {
		t.Errorf("webhooks alone: %+v", f)
	}
	f = checkPages(t.Context(), config.Serve{Mail: config.Mail{PublicURL: "https://" + freeAddress(t)}, Public: config.Public{Listen: "0.0.0.0:8081"}})
	if len(f) != 1 || f[0].Level != notice.LevelWarning || !strings.Contains(f[0].Message, "can't be reached from here") {
		t.Errorf("a server that is away: %+v", f)
	}
}
