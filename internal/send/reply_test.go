package send

import (
	"bufio"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestReadReply(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want reply
	}{
		{"250 2.0.0 ok: queued\r\n", reply{250, "2.0.0", "ok: queued"}},
		{"250-2.0.0 one\r\n250-2.0.0 two\r\n250 2.0.0 three\r\n", reply{250, "2.0.0", "one two three"}},
		{"250\r\n", reply{250, "", ""}},
		{"250 \r\n", reply{250, "", ""}},
		{"250 bare line end\n", reply{250, "", "bare line end"}},
		{"550 5.1.1\r\n", reply{550, "5.1.1", ""}},
		{"550 5.1.1x\r\n", reply{550, "", "5.1.1x"}},
		{"550 5.1.1000 x\r\n", reply{550, "", "5.1.1000 x"}},
		{"550 2.1.1 x\r\n", reply{550, "", "2.1.1 x"}},
		{"250 5.1.1 x\r\n", reply{250, "", "5.1.1 x"}},
		{"450 a\x00b\x1b[1mc\td\xff\r\n", reply{450, "", "a b [1mc d\uFFFD"}},
		{"450 \u202eevil\r\n", reply{450, "", "evil"}},
	} {
		got, err := readReply(bufio.NewReader(strings.NewReader(c.in)))
		if err != nil {
			t.Errorf("%q: %v", c.in, err)
		}
		if d := cmp.Diff(c.want, got, cmp.AllowUnexported(reply{})); d != "" {
			t.Errorf("%q: %s", c.in, d)
		}
	}
}

func TestReadReplyRefusesWhatIsNone(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", "\r\n", "25", "25\r\n", "2500 ok\r\n", "250_ok\r\n", "150 ok\r\n", "650 ok\r\n", "abc ok\r\n", "2x0 ok\r\n",
		" 250 ok\r\n", "250 ok", "250-ok\r\n", "250-ok\r\n251 ok\r\n", "250-ok\r\nok\r\n", "²50 ok\r\n",
		"250 " + strings.Repeat("x", 4096) + "\r\n", strings.Repeat("250-x\r\n", 200),
	} {
		if r, err := readReply(bufio.NewReader(strings.NewReader(in))); err == nil {
			t.Errorf("%.40q: %+v", in, r)
		}
	}
}

func FuzzReadReply(f *testing.F) {
	for _, s := range []string{"250 ok\r\n", "250-a\r\n250 2.0.0 b\r\n", "550 5.1.1 \xff\x00\r\n", "421\n", "250-"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		source := strings.NewReader(string(in))
		buffered := bufio.NewReader(source)
		r, err := readReply(buffered)
		if err != nil {
			return
		}
		if r.code < 200 || r.code > 599 {
			t.Errorf("code %d", r.code)
		}
		if !utf8.ValidString(r.text) || len(r.text) > maxText || strings.ContainsFunc(r.text, unicode.IsControl) {
			t.Errorf("text %q", r.text)
		}
		read := string(in[:len(in)-source.Len()-buffered.Buffered()])
		last := read[strings.LastIndex(strings.TrimSuffix(read, "\n"), "\n")+1:]
		if !strings.HasSuffix(read, "\n") || len(strings.TrimRight(last, "\r\n")) > 3 && last[3] != ' ' {
			t.Errorf("the reply ends with %q", last)
		}
	})
}

func FuzzStuff(f *testing.F) {
	f.Add([]byte(".\r\n..\r\nx\r\n"))
	f.Add([]byte("a\r\n."))
	f.Fuzz(func(t *testing.T, raw []byte) {
		wire, err := stuff(raw)
		if err != nil {
			return
		}
		var got strings.Builder
		for line := range strings.Lines(string(wire)) {
			if line == ".\r\n" || !strings.HasSuffix(line, "\r\n") || strings.Count(line, "\r") != 1 {
				t.Fatalf("line %q", line)
			}
			got.WriteString(strings.TrimPrefix(line, "."))
		}
		if want := strings.TrimSuffix(string(raw), "\r\n") + "\r\n"; got.String() != want {
			t.Errorf("unstuffed %q, want %q", got.String(), want)
		}
	})
}
