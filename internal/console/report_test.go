package console

import (
	"bytes"
	"regexp"
	"slices"
	"testing"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"tocsin/internal/notice"
)

// TestAnIncidentSaysWhatComesNext: the notices that leave by themselves stand in the order in which they leave; nothing stands where none does.
func TestAnIncidentSaysWhatComesNext(t *testing.T) {
	t.Parallel()
	day := func(n int) *time.Time {
		at := time.Date(2026, 11, n, 9, 0, 0, 0, time.UTC)
		return &at
	}
	v := &incidentView{Frame: &Frame{Lang: "de", Zone: time.UTC, Now: *day(1), words: readWords().of["de"], print: message.NewPrinter(language.German)}}
	links := regexp.MustCompile(`<li><a href="/notices/([^"]+)">`)
	shown := func() (keys []string) {
		t.Helper()
		v.Part = v.reportPart(notice.Report{}, notice.Report{})
		var html bytes.Buffer
		if err := parsePages()["incident"].ExecuteTemplate(&html, "standing", v); err != nil {
			t.Fatal(err)
		}
		for _, m := range links.FindAllStringSubmatch(html.String(), -1) {
			keys = append(keys, m[1])
		}
		if bytes.Contains(html.Bytes(), []byte("Was noch kommt")) != (len(keys) > 0) {
			t.Errorf("%v: %s", keys, html.String())
		}
		return keys
	}
	v.Coming = coming([]notice.Status{
		{Key: "sent", State: notice.Sent, SendAt: day(2)}, {Key: "late", State: notice.Scheduled, SendAt: day(9)},
		{Key: "stopped", State: notice.Cancelled, SendAt: day(5)}, {Key: "soon", State: notice.Scheduled, SendAt: day(3), ReminderOf: "late"}, {Key: "draft", State: notice.Draft},
	})
	if keys := shown(); !slices.Equal(keys, []string{"soon", "late"}) {
		t.Errorf("%v come next", keys)
	}
	v.Coming = nil
	if keys := shown(); keys != nil {
		t.Errorf("%v come next where nothing does", keys)
	}
}
