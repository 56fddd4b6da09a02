package send

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

func TestParseRelay(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]Relay{
		"smtp://smtp.example.net":                            {Name: "smtp.example.net", Host: "smtp.example.net", Port: 25},
		"smtp://ada:s%2Fcret@smtp.example.net:587":           {Name: "smtp.example.net", Host: "smtp.example.net", Port: 587, User: "ada", Password: "s/cret"},
		"smtp://ada@smtp.example.net:587/":                   {Name: "smtp.example.net", Host: "smtp.example.net", Port: 587, User: "ada"},
		"smtps://smtp.example.net":                           {Name: "smtp.example.net", Host: "smtp.example.net", Port: 465, TLS: TLSImplicit},
		"smtp://smtp.example.net?tls=opportunistic":          {Name: "smtp.example.net", Host: "smtp.example.net", Port: 25, TLS: TLSOpportunistic},
		"smtp://smtp.example.net:25?name=main":               {Name: "main", Host: "smtp.example.net", Port: 25},
		"smtp://127.0.0.1:2525":                              {Name: "127.0.0.1", Host: "127.0.0.1", Port: 2525, TLS: TLSOpportunistic},
		"smtp://[::1]:2525":                                  {Name: "::1", Host: "::1", Port: 2525, TLS: TLSOpportunistic},
		"smtp://LOCALHOST:2525":                              {Name: "LOCALHOST", Host: "LOCALHOST", Port: 2525, TLS: TLSOpportunistic},
		"smtps://localhost:4650":                             {Name: "localhost", Host: "localhost", Port: 4650, TLS: TLSImplicit},
		"smtp://localhost.example:25":                        {Name: "localhost.example", Host: "localhost.example", Port: 25},
		"smtp://u%40x:p%40ss%3A@[2001:db8::1]:1025/?name=v6": {Name: "v6", Host: "2001:db8::1", Port: 1025, User: "u@x", Password: "p@ss:"},
	} {
		want.Connections = DefaultConnections
		got, err := ParseRelay(raw)
		if err != nil {
			t.Errorf("%s: %v", raw, err)
		}
		// Not by cmp's own formatting: a Relay prints itself without its password.
		if d := cmp.Diff(fmt.Sprint(fields(want)), fmt.Sprint(fields(got))); d != "" {
			t.Errorf("%s: %s", raw, d)
		}
	}
}

func fields(r Relay) []any {
	return []any{r.Name, r.Host, r.Port, r.TLS, r.User, r.Password, r.Connections}
}

func TestParseRelaySaysWhatIsWrongWithoutThePassword(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"":                                   "begin with",
		"smtp.example.net:587":               "begin with",
		"http://ada:pa55@smtp.example.net":   "begin with",
		"smtp://":                            "no host",
		"smtp://ada:pa55@":                   "no host",
		"smtp://:pa55@host":                  "no user",
		"smtp:ada:pa55@host":                 "no host",
		"smtp://ada:pa55@host:port":          "not a URL",
		"smtp://ada:pa55@host:0":             "between 1 and 65535",
		"smtp://ada:pa55@host:65536":         "between 1 and 65535",
		"smtp://ada:pa55%zz@host":            "not a URL",
		"smtp://ada:pa55 @host":              "not a URL",
		"smtp://ada:55/pa55@host":            "%2F",
		"smtp://ada:55?pa55@host":            "unknown option",
		"smtp://ada:55#pa55@host":            "%23",
		"smtp://ada:pa55@host?tls=off":       "unknown option",
		"smtp://ada:pa55@host?tls=required":  "unknown option",
		"smtp://host?name=":                  "unknown option",
		"smtp://host?name=a&name=b":          "unknown option",
		"smtp://host?rate=pa55":              "unknown option",
		"smtp://host?a=%zz":                  "malformed",
		"smtps://host?tls=opportunistic":     "at once",
		"smtp://ada:pa55@host/path/to/there": "behind the host",
	} {
		_, err := ParseRelay(raw)
		if e, ok := errors.AsType[*notice.Error](err); !ok || e.Code != notice.CodeInvalid {
			t.Errorf("%s: error is %v", raw, err)
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", raw, err, want)
		}
		if strings.Contains(err.Error(), "pa55") {
			t.Errorf("%s: the error tells the password: %v", raw, err)
		}
	}
}

func TestARelayPrintsItselfWithoutItsPassword(t *testing.T) {
	t.Parallel()
	r, err := ParseRelay("smtps://ada:pa55@smtp.example.net?name=main")
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, r); got != "main (smtps://smtp.example.net:465)" {
			t.Errorf("%s: %s", verb, got)
		}
	}
}
