package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"tocsin/internal/notice"
)

// plainEvery is how often progress is a new line where it can't be a bar.
const plainEvery = 5 * time.Second

// sending shows how far a notice has got: a bar on a terminal, now and then a line elsewhere.
type sending struct {
	w       io.Writer
	bar     *progressbar.ProgressBar // nil: plain lines
	started time.Time
	first   int // delivered when it started
	said    time.Time
	state   notice.State
	done    int    // the count that was last printed
	why     string // the reason last printed for a standstill
}

func newSending(w io.Writer) *sending { return &sending{w: w} }

// show brings the display up to date.
func (s *sending) show(st notice.Status, now time.Time) {
	done, all := settled(st), toMail(st)
	if s.started.IsZero() {
		s.started, s.first = now, delivered(st)
		if isTerminal(s.w) {
			// The line below the bar gives the speed. The bar's own rate includes the mails that were done before the bar began.
			s.bar = progressbar.NewOptions(all,
				progressbar.OptionSetWriter(s.w), progressbar.OptionFullWidth(), progressbar.OptionShowCount(),
				progressbar.OptionSetPredictTime(false), progressbar.OptionSetMaxDetailRow(1), progressbar.OptionUseANSICodes(true))
		}
	}
	if s.bar != nil {
		s.bar.ChangeMax(all)
		s.bar.Describe(string(st.State))
		s.bar.AddDetail(oneLine(slices.Concat([]string{standstill(st), s.pace(st, now)}, troubles(st))))
		s.bar.Set(done)
		return
	}
	if st.State == s.state && done == s.done {
		s.stands(st, now)
		return
	}
	if st.State == s.state && now.Sub(s.said) < plainEvery && done < all {
		return
	}
	s.said, s.state, s.done, s.why = now, st.State, done, ""
	text := fmt.Sprintf("%s: %s of %s sent", describe(st), count(delivered(st)), count(all))
	if pace := s.pace(st, now); pace != "" {
		text += ", " + pace
	}
	if st.State == notice.Sending && st.Pace != nil && len(st.Pace.Limited) > 0 {
		text += ", limited to " + limits(st.Pace.Limited)
	}
	fmt.Fprintln(s.w, text)
}

// stands says why nothing has moved for a while, once for each reason. A notice may wait for days: silence says that
// nothing changed.
func (s *sending) stands(st notice.Status, now time.Time) {
	if why := standstill(st); why != "" && why != s.why && now.Sub(s.said) >= plainEvery {
		s.why = why
		fmt.Fprintf(s.w, "%s: %s\n", describe(st), why)
	}
}

// pace is the rate of the mails, and the time that the rest will take at this rate; "" if they are not known.
func (s *sending) pace(st notice.Status, now time.Time) string {
	span, sent, left := now.Sub(s.started), delivered(st)-s.first, toMail(st)-settled(st)
	if span < notice.Measurable || sent <= 0 || left == 0 {
		return ""
	}
	rate := float64(sent) / span.Seconds()
	togo := time.Duration(float64(left) / rate * float64(time.Second))
	return fmt.Sprintf("%s/s, %s to go", perSecond(rate), max(togo.Round(time.Second), time.Second))
}

// perSecond writes a rate: 1,240, or 0.3.
func perSecond(rate float64) string {
	if rate < 10 {
		return fmt.Sprintf("%.1f", rate)
	}
	return count(int(math.Round(rate)))
}

// oneLine joins parts of a sentence, as far as they fit a line.
func oneLine(parts []string) string {
	parts = slices.DeleteFunc(parts, func(part string) bool { return part == "" })
	line, _, _ := strings.Cut(hang(strings.Join(parts, ", "), 0, columns-1), "\n")
	return line
}

// close ends the lines of a bar.
func (s *sending) close() {
	switch {
	case s.bar == nil:
	case s.bar.IsFinished(): // the cursor stands in the second line
		fmt.Fprintln(s.w)
	default:
		fmt.Fprint(s.w, "\n\n")
	}
}

// settled is how many of those to be mailed are not to be tried any more.
func settled(st notice.Status) int {
	done := toMail(st)
	for _, state := range notice.DeliveryStates {
		if state.Open() {
			done -= st.Counts[state.String()]
		}
	}
	return done
}

// describe names the state of a notice, and the troubles in it that want attention.
func describe(st notice.Status) string {
	return strings.Join(append([]string{string(st.State)}, troubles(st)...), ", ")
}

// troubles are the counts of a notice that want attention.
func troubles(st notice.Status) (words []string) {
	for _, state := range []notice.DeliveryState{notice.DeliveryDeferred, notice.DeliveryFailed, notice.DeliveryUncertain} {
		if n := st.Counts[state.String()]; n > 0 {
			words = append(words, fmt.Sprintf("%s %s", count(n), state))
		}
	}
	if n := st.Counts[notice.DeliverySuppressed.String()]; n > 0 {
		words = append(words, count(n)+" could not be reached")
	}
	return words
}

// upload shows how much of a file has been sent.
type upload struct {
	w    io.Writer
	bar  *progressbar.ProgressBar // nil: plain lines
	size int64                    // bytes, -1 where that is not known
	sent int64
	said time.Time
}

func newUpload(w io.Writer, size int64) *upload {
	u := &upload{w: w, size: size, said: time.Now()}
	if isTerminal(w) {
		u.bar = progressbar.NewOptions64(size,
			progressbar.OptionSetWriter(w), progressbar.OptionSetDescription("importing"), progressbar.OptionSetWidth(30),
			progressbar.OptionShowBytes(true), progressbar.OptionUseANSICodes(true), progressbar.OptionClearOnFinish())
	}
	return u
}

// Write counts the bytes that go by.
func (u *upload) Write(b []byte) (int, error) {
	u.sent += int64(len(b))
	if u.bar != nil {
		u.bar.Add(len(b))
	} else if now := time.Now(); now.Sub(u.said) >= plainEvery {
		u.said = now
		of := ""
		if u.size > 0 {
			of = fmt.Sprintf(" of %.1f", float64(u.size)/1e6)
		}
		fmt.Fprintf(u.w, "importing: %.1f%s MB sent\n", float64(u.sent)/1e6, of)
	}
	return len(b), nil
}

func (u *upload) finish() {
	if u.bar != nil {
		u.bar.Finish()
	}
}
