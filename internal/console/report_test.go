package console

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
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

// TestAReportSaysNothingOfItsReachBeforeItBegan: a draft, and a notice of which each mail is still to leave, reached 0 % of nobody.
func TestAReportSaysNothingOfItsReachBeforeItBegan(t *testing.T) {
	t.Parallel()
	texts := readWords().of["de"]
	v := &noticeView{Frame: &Frame{Lang: "de", Zone: time.UTC, Now: time.Now(), words: texts, print: message.NewPrinter(language.German)}}
	for _, tt := range []struct {
		reach notice.Reach
		shown bool
	}{
		{notice.Reach{}, false}, {notice.Reach{Open: 5}, false}, {notice.Reach{Open: 4, NotReached: 1}, true},
		{notice.Reach{Open: 4, Unknown: 1}, true}, {notice.Reach{Open: 4, Reached: 1, Percent: 20}, true},
	} {
		v.Part = v.reportPart(notice.Report{Reach: tt.reach}, notice.Report{})
		var html bytes.Buffer
		if err := parsePages()["notice"].ExecuteTemplate(&html, "standing", v); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(html.String(), "<dt>"+texts["reach.reached"]) != tt.shown {
			t.Errorf("%+v, want the reach shown %t: %s", tt.reach, tt.shown, html.String())
		}
	}
}
