package main

import (
	"fmt"
	"io"
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
	first   int // done when it started
	said    time.Time
	state   notice.State
	done    int    // that was said last
	why     string // it stands still, as was said last
}

func newSending(w io.Writer) *sending { return &sending{w: w} }

// show brings the display up to date.
func (s *sending) show(st notice.Status, now time.Time) {
	done, all := settled(st), toMail(st)
	if s.started.IsZero() {
		s.started, s.first = now, done
		if isTerminal(s.w) {
			s.bar = progressbar.NewOptions(all,
				progressbar.OptionSetWriter(s.w), progressbar.OptionSetWidth(30), progressbar.OptionShowCount(),
				progressbar.OptionSetPredictTime(true), progressbar.OptionShowIts(), progressbar.OptionSetItsString("mails"),
				progressbar.OptionUseANSICodes(true))
		}
	}
	if s.bar != nil {
		s.bar.ChangeMax(all)
		s.bar.Describe(strings.TrimSuffix(describe(st)+"; "+standstill(st), "; "))
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
	fmt.Fprintf(s.w, "%s: %s of %s sent%s\n", describe(st), count(delivered(st)), count(all), s.pace(done, all, now))
}

// stands says why nothing has moved for a while, once for each reason. A notice may wait for days: silence says that
// nothing changed.
func (s *sending) stands(st notice.Status, now time.Time) {
	if why := standstill(st); why != "" && why != s.why && now.Sub(s.said) >= plainEvery {
		s.why = why
		fmt.Fprintf(s.w, "%s: %s\n", describe(st), why)
	}
}

// pace is how fast it goes, and how long it will still take if it goes on so.
func (s *sending) pace(done, all int, now time.Time) string {
	rate := float64(done-s.first) / now.Sub(s.started).Seconds()
	if done == s.first || done == all || now == s.started {
		return ""
	}
	left := time.Duration(float64(all-done) / rate * float64(time.Second))
	return fmt.Sprintf(", %.0f/s, %s to go", rate, max(left.Round(time.Second), time.Second))
}

// close ends the line of a bar.
func (s *sending) close() {
	if s.bar != nil {
		fmt.Fprintln(s.w)
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

// describe says in which state a notice is, and what in it wants attention.
func describe(st notice.Status) string {
	words := []string{string(st.State)}
	for _, state := range []notice.DeliveryState{notice.DeliveryDeferred, notice.DeliveryFailed, notice.DeliveryUncertain} {
		if n := st.Counts[state.String()]; n > 0 {
			words = append(words, fmt.Sprintf("%s %s", count(n), state))
		}
	}
	if n := st.Counts[notice.DeliverySuppressed.String()]; n > 0 {
		words = append(words, count(n)+" could not be reached")
	}
	return strings.Join(words, ", ")
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

// Write counts what goes by.
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
