package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// settings reads settings of which the file, where there is one, is written out as tocsin.yaml.
func settings(t *testing.T, flags map[string]string, env []string, file string) *Settings {
	t.Helper()
	if file != "" {
		env = append(env, "TOCSIN_CONFIG="+write(t, "tocsin.yaml", file))
	}
	s, err := Read(flags, env)
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return s
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var servers = []string{"DATABASE_URL=postgres://db/tocsin", "REDIS_URL=redis://cache"}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		flags map[string]string
		env   []string
		file  string
		want  time.Duration
	}{
		{name: "nothing set gives the default", want: 30 * time.Second},
		{name: "the file goes before the default", file: "drain: 1s", want: time.Second},
		{name: "a variable goes before the file", env: []string{"TOCSIN_DRAIN=2s"}, file: "drain: 1s", want: 2 * time.Second},
		{name: "a flag goes before a variable", flags: map[string]string{"TOCSIN_DRAIN": "3s"}, env: []string{"TOCSIN_DRAIN=2s"}, file: "drain: 1s", want: 3 * time.Second},
		{name: "an empty variable is unset", env: []string{"TOCSIN_DRAIN="}, file: "drain: 1s", want: time.Second},
		{name: "a key without a value is unset", file: "drain:", want: 30 * time.Second},
		{name: "an empty file sets nothing", file: "# nothing yet\n", want: 30 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := append([]string{"TOCSIN_FROM=s@example.net", "TOCSIN_SMTP_URL=smtp://mx"}, servers...)
			work, err := settings(t, tt.flags, append(env, tt.env...), tt.file).Work()
			if err != nil {
				t.Fatal(err)
			}
			if work.Drain != tt.want {
				t.Errorf("Drain = %v, want %v", work.Drain, tt.want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	s := settings(t, nil, servers, "")
	serve, err := s.Serve()
	if err != nil {
		t.Fatal(err)
	}
	want := Serve{Servers: Servers{"postgres://db/tocsin", "redis://cache"}, Listen: "127.0.0.1:8080", Session: 12 * time.Hour,
		OIDC: OIDC{Client: "tocsin", Scopes: []string{"openid", "profile", "email"}, Claim: "roles"}, PlanKeep: 24 * time.Hour, WorkerRate: 100, Lease: time.Minute, SendWithin: 10 * time.Minute, Log: "text", Traces: Traces{Every: 100}}
	if diff := cmp.Diff(want, serve); diff != "" {
		t.Errorf("Serve (-want +got):\n%s", diff)
	}
	client, err := s.Client()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Client{URL: "http://127.0.0.1:8080", ConfirmAbove: 10_000}, client); diff != "" {
		t.Errorf("Client (-want +got):\n%s", diff)
	}
}

func TestWholeFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"smtp": "p@ss,word\n",
		"tocsin.yaml": `from: "Example Status <status@example.net>"
reply_to: support@example.org
zone: Europe/Amsterdam
template_dir: ./templates
public_url: https://tocsin.example.net/
hello: mta.example.net
return_path: bounces@example.net
work_listen: ":9100"
max_open_marks: 128
relays:
  - {name: main, url: "smtp://user@smtp.example.net:587", password_file: smtp, connections: 4, rate: 200/s, hello: out.example.net, return_path: returns@example.net, auth: "plain, login"}
  - {name: austin, url: "smtps://smtp2.example.net", rate: 600/m, quota: 50000/d, family: ipv6, token_command: [get-token, --for, a b]}
limits:
  - {domain: Gmail.com, rate: 20/s, connections: 8}
  - {domain: bücher.example, connections: 2}
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "templates"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "tocsin.yaml")
	work, err := settings(t, nil, append([]string{"TOCSIN_CONFIG=" + path}, servers...), "").Work()
	if err != nil {
		t.Fatal(err)
	}
	want := Work{
		Servers: Servers{"postgres://db/tocsin", "redis://cache"}, Listen: ":9100", MaxOpenMarks: 128, Drain: 30 * time.Second,
		Lease: time.Minute, FirstRetry: 30 * time.Second, RelaySilence: 30 * time.Second, Log: "text", Traces: Traces{Every: 100},
		Mail: Mail{
			From: "Example Status <status@example.net>", ReplyTo: "support@example.org", Zone: "Europe/Amsterdam",
			TemplateDir: filepath.Join(dir, "templates"), PublicURL: "https://tocsin.example.net", Hello: "mta.example.net", ReturnPath: "bounces@example.net",
			Relays: []Relay{
				{Name: "main", URL: "smtp://user@smtp.example.net:587", Password: "p@ss,word", Connections: 4, Rate: 200, Hello: "out.example.net", ReturnPath: "returns@example.net", Auth: []string{"PLAIN", "LOGIN"}, Origin: path + ":11"},
				{Name: "austin", URL: "smtps://smtp2.example.net", Connections: 16, Rate: 10, Quota: 50_000, Family: "ipv6", Token: []string{"get-token", "--for", "a b"}, Origin: path + ":12"},
			},
		},
		Limits: []Limit{{Domain: "gmail.com", Rate: 20, Connections: 8}, {Domain: "xn--bcher-kva.example", Connections: 2}},
	}
	if diff := cmp.Diff(want, work); diff != "" {
		t.Errorf("Work (-want +got):\n%s", diff)
	}
}

func TestRelaysOfTheEnvironmentReplaceThoseOfTheFile(t *testing.T) {
	t.Parallel()
	serve, err := settings(t, nil, append([]string{"TOCSIN_SMTP_URL=smtp://a:x@one:587, smtps://two"}, servers...),
		"relays: [{url: smtp://three}]").Serve()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range serve.Mail.Relays {
		got = append(got, r.URL)
	}
	if diff := cmp.Diff([]string{"smtp://a:x@one:587", "smtps://two"}, got); diff != "" {
		t.Errorf("relays (-want +got):\n%s", diff)
	}
}

func TestSecretFromAFileLosesItsLineEnds(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"s3cret", "s3cret\n", "s3cret\r\n", "s3cret\n\n", "s3cret\r\n\r\n\n", "\uFEFFs3cret", "\uFEFFs3cret\r\n"} {
		c, err := settings(t, nil, []string{"TOCSIN_TOKEN_FILE=" + write(t, "token", text)}, "").Client()
		if err != nil || c.Token() != "s3cret" {
			t.Errorf("token file %q gives %q, %v", text, c.Token(), err)
		}
	}
}

func TestClientUsesTheFirstOfTwoTokens(t *testing.T) {
	t.Parallel()
	c, err := settings(t, map[string]string{"TOCSIN_URL": "https://t.example/x/"}, []string{"TOCSIN_TOKEN=new,old"}, "").Client()
	if err != nil {
		t.Fatal(err)
	}
	if c.URL != "https://t.example/x" || c.Token() != "new" {
		t.Errorf("Client = %+v", c)
	}
}

// An error names the setting and its source, and says how to mend it; it never shows a password.
func TestErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		flags map[string]string
		env   []string
		file  string
		want  []string
	}{
		{"flag", map[string]string{"TOCSIN_DRAIN": "soon"}, nil, "", []string{"TOCSIN_DRAIN (flag --drain)", `"soon"`, "30s"}},
		{"too short a time", nil, []string{"TOCSIN_LEASE=1s"}, "", []string{"TOCSIN_LEASE (environment)", "3s or more"}},
		{"empty flag", map[string]string{"TOCSIN_ZONE": ""}, nil, "", []string{"TOCSIN_ZONE (flag --zone)", "Europe/Amsterdam"}},
		{"variable", nil, []string{"TOCSIN_MAX_OPEN_MARKS=0"}, "", []string{"TOCSIN_MAX_OPEN_MARKS (environment)", `"0"`, "from 1 to"}},
		{"file", nil, nil, "zone: UTC\nfrom: nobody\n", []string{"from (", "tocsin.yaml:2)", `"nobody"`, "status@example.net"}},
		{"unknown key", nil, nil, "\nform: x\n", []string{"tocsin.yaml:2: ", `"form" is not a setting; did you mean from?`}},
		{"key twice", nil, nil, "zone: UTC\nzone: UTC\n", []string{"tocsin.yaml:2: zone stands in line 1 already"}},
		{"secret in the file", nil, nil, "database_url: postgres://x\n", []string{"tocsin.yaml:1: ", `"database_url" is not a setting`}},
		{"limits", nil, nil, "zone: UTC\nlimits:\n  - {domain: a.example, rate: often}\n  - {domain: b.example}\n  - {rate: 1/s}\n" +
			"  - {domain: c.example, connections: 0}\n  - {domain: d.example, rate: 1/s}\n  - {domain: D.example, rate: 2/s}\n  - {domain: e e, rate: 0/s}\n",
			[]string{`tocsin.yaml:3: rate: "often" is not a rate such as 200/s`, "tocsin.yaml:4: the limit of b.example has neither a rate nor connections",
				"tocsin.yaml:5: the limit names no domain", `tocsin.yaml:6: connections: "0" is not a whole number`,
				"tocsin.yaml:8: line 7 limits d.example already", `tocsin.yaml:9: domain: "e e" is not a domain`, "0/s\" would let nothing leave"}},
		{"dkim", nil, nil, "dkim:\n  - {key_file: a}\n  - {selector: a}\n  - {selector: a, key_file: a, domain: e e}\n  - {selector: b, key_file: a}\n" +
			"  - {selector: b, key_file: c}\n  - {selector: c, key_file: a}\n  - {selector: d, key_file: a}\n",
			[]string{"tocsin.yaml:2: the key has no selector", "tocsin.yaml:3: the key has no key_file", `tocsin.yaml:4: domain: "e e" is not a domain`,
				"tocsin.yaml:6: the selector b is there already", "tocsin.yaml:8: mails are signed with 2 keys at most"}},
		{"limits as a mapping", nil, nil, "limits: {domain: a.example}\n", []string{"tocsin.yaml:1: limits is a mapping; want a list"}},
		{"holds that are no list", nil, nil, "holds: today\n", []string{"tocsin.yaml:1: holds is plain text; want a list"}},
		{"hold's unknown field", nil, nil, "holds:\n- {from: 2026-11-09T21:00, to: 2026-11-10T00:00}\n", []string{"tocsin.yaml:2: ", `"to" is not a field of a hold`}},
		{"hold that ends before it begins", nil, nil, "holds:\n- {from: 2026-11-09T21:00, until: 2026-11-09T20:00}\n", []string{"tocsin.yaml:2: until is not after start"}},
		{"hold without an end", nil, nil, "holds:\n- {from: 2026-11-09T21:00}\n", []string{"tocsin.yaml:2: until", "is not a time"}},
		{"hold's zone", nil, nil, "holds:\n- {from: 2026-11-09T21:00, until: 2026-11-09T22:00, zone: Mars/Olympus}\n", []string{"tocsin.yaml:2: ", "Mars/Olympus"}},
		{"rate", nil, nil, "relays:\n- url: smtp://x\n  rate: 200\n", []string{`tocsin.yaml:3: rate: "200" is not a rate such as 200/s, 600/m, 5000/h or 50000/d`}},
		{"quota", nil, nil, "relays:\n- url: smtp://x\n  quota: 200/h\n", []string{`tocsin.yaml:3: quota: "200/h" is not a number of mails a day, such as 50000/d`}},
		{"relay's unknown field", nil, nil, "relays:\n- {url: smtp://x, port: 25}\n", []string{"tocsin.yaml:2: ", `"port" is not a field of a relay`}},
		{"relay without a url", nil, nil, "relays:\n- {name: x}\n", []string{"tocsin.yaml:2: the relay has no url"}},
		{"relay's connections", nil, nil, "relays:\n- {url: smtp://x, connections: many}\n", []string{"tocsin.yaml:2: connections", `"many"`}},
		{"relay's password file", nil, nil, "relays:\n- {url: smtp://x, password_file: gone}\n", []string{"tocsin.yaml:2: password_file gone"}},
		{"relay's auth", nil, nil, "relays:\n- {url: smtp://x, auth: [plain, digest-md5]}\n", []string{`tocsin.yaml:2: auth: "digest-md5" is none of SCRAM-SHA-256`}},
		{"XOAUTH2 with a password", nil, nil, "relays:\n- {url: smtp://x, auth: xoauth2}\n", []string{"tocsin.yaml:2: auth: XOAUTH2 wants a token_file"}},
		{"a token for PLAIN", nil, nil, "relays:\n- {url: smtp://x, auth: PLAIN, token_command: get-token}\n", []string{"tocsin.yaml:2: auth: an access token is for XOAUTH2"}},
		{"two tokens", nil, nil, "relays:\n- {url: smtp://x, token_file: /dev/null, token_command: get-token}\n", []string{"tocsin.yaml:2: the relay has a token_file and a token_command"}},
		{"a token's file is away", nil, nil, "relays:\n- {url: smtp://x, token_file: gone}\n", []string{"tocsin.yaml:2: token_file gone can't be read"}},
		{"relay's family", nil, nil, "relays:\n- {url: smtp://x, family: inet}\n", []string{`tocsin.yaml:2: family: "inet" is neither ipv4 nor ipv6`}},
		{"relay's hello", nil, nil, "relays:\n- {url: smtp://x, hello: a b}\n", []string{`tocsin.yaml:2: hello: "a b" is not a host name such as mta.example.net`}},
		{"return path", nil, []string{"TOCSIN_RETURN_PATH=Bounces <bounces@example.net>"}, "", []string{"TOCSIN_RETURN_PATH (environment)", "bounces@status.example.net"}},
		{"relay's return path", nil, nil, "relays:\n- {url: smtp://x, return_path: bounces-for-all-customers@example.net}\n", []string{"tocsin.yaml:2: return_path:", "at most 20 letters"}},
		{"hello", nil, []string{"TOCSIN_HELLO=mta_1.example.net"}, "", []string{"TOCSIN_HELLO (environment)", "mta.example.net"}},
		{"relays of one name", nil, nil, "relays:\n- {name: a, url: smtp://x}\n- {name: a, url: smtp://y}\n", []string{"tocsin.yaml:3: another relay in line 2"}},
		{"list for text", nil, nil, "from: [a]\n", []string{"tocsin.yaml:1: from is a list; want one plain value"}},
		{"no YAML", nil, nil, "from: a\n  b: c\n", []string{"tocsin.yaml:2: is not YAML"}},
		{"two documents", nil, nil, "zone: UTC\n---\nzone: UTC\n", []string{"more than one YAML document"}},
		{"no mapping", nil, nil, "just text\n", []string{"tocsin.yaml:1: the file is plain text; want settings"}},
		{"no file", nil, []string{"TOCSIN_CONFIG=/does/not/exist.yaml"}, "", []string{"TOCSIN_CONFIG (environment)", "/does/not/exist.yaml"}},
		{"secret twice", nil, []string{"TOCSIN_TOKEN=a", "TOCSIN_TOKEN_FILE=/x"}, "", []string{"TOCSIN_TOKEN: ", "TOCSIN_TOKEN_FILE"}},
		{"secret's file is away", nil, []string{"TOCSIN_TOKEN_FILE=/does/not/exist"}, "", []string{"TOCSIN_TOKEN (file /does/not/exist, named by TOCSIN_TOKEN_FILE)"}},
		{"three tokens", nil, []string{"TOCSIN_TOKEN=hidden1,b,c"}, "", []string{"TOCSIN_TOKEN (environment)", "3 tokens"}},
		{"relay URL", nil, []string{"TOCSIN_SMTP_URL=smtp://ok,smtp://u:hidden/word@host:25"}, "", []string{"TOCSIN_SMTP_URL (environment)", "relay 2", "percent-encoded"}},
		{"relay URL with a comma", nil, []string{"TOCSIN_SMTP_URL=smtp://ok,smtp://u:12,hidden@host:25"}, "", []string{"TOCSIN_SMTP_URL (environment)", "relay 2", "%2C"}},
		{"database URL", nil, []string{"DATABASE_URL=postgres://u:hidden#@db:x/y"}, "", []string{"DATABASE_URL (environment)", "postgres://tocsin:password@"}},
		{"Redis URL", nil, []string{"REDIS_URL=http://:hidden@cache"}, "", []string{"REDIS_URL (environment)", "redis://"}},
		{"public URL", nil, []string{"TOCSIN_PUBLIC_URL=tocsin.example.net"}, "", []string{"TOCSIN_PUBLIC_URL (environment)", "https://"}},
		{"public URL that would write a header", nil, []string{"TOCSIN_PUBLIC_URL=https://example.net/a%0d\r\nBcc: a@example.com"}, "", []string{"TOCSIN_PUBLIC_URL (environment)"}},
		{"public URL in angle brackets", nil, []string{"TOCSIN_PUBLIC_URL=https://example.net/<a>"}, "", []string{"TOCSIN_PUBLIC_URL (environment)", "can't stand in a mail"}},
		{"public URL beyond ASCII", nil, []string{"TOCSIN_PUBLIC_URL=https://bücher.example"}, "", []string{"TOCSIN_PUBLIC_URL (environment)", "xn--"}},
		{"listen", nil, []string{"TOCSIN_WORK_LISTEN=9100"}, "", []string{"TOCSIN_WORK_LISTEN (environment)", "host:port"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := append([]string{"TOCSIN_FROM=s@example.net"}, tt.env...)
			if strings.Contains(tt.file, "from:") {
				env = tt.env
			}
			if tt.file != "" {
				env = append(env, "TOCSIN_CONFIG="+write(t, "tocsin.yaml", tt.file))
			}
			s, err := Read(tt.flags, append(env, unlessSet(env, servers)...))
			if err == nil {
				_, err = s.Work()
			}
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "hidden") {
				t.Errorf("error shows a password: %v", err)
			}
		})
	}
}

// unlessSet returns those of the defaults that env does not set itself.
func unlessSet(env, defaults []string) (more []string) {
	for _, d := range defaults {
		name, _, _ := strings.Cut(d, "=")
		if !strings.Contains("\n"+strings.Join(env, "\n"), "\n"+name) {
			more = append(more, d)
		}
	}
	return more
}

func TestWorkNamesAllThatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := settings(t, nil, nil, "").Work()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"DATABASE_URL", "REDIS_URL", "TOCSIN_FROM", "TOCSIN_SMTP_URL"} {
		if !strings.Contains(err.Error(), want+": is not set") {
			t.Errorf("error %q does not name %s", err, want)
		}
	}
}

func TestACommandMindsOnlyItsOwnSettings(t *testing.T) {
	t.Parallel()
	s := settings(t, nil, []string{"DATABASE_URL_FILE=/root/secret-of-another", "TOCSIN_DRAIN=broken"}, "relays: [{}]")
	if _, err := s.Client(); err != nil {
		t.Errorf("Client: %v", err)
	}
}

func FuzzFile(f *testing.F) {
	f.Add("from: a@example.net\nrelays:\n- {name: a, url: smtp://x, connections: 3, rate: 5/h}\nlimits: [{domain: a.example, rate: 1/s}]\n")
	f.Add("a: &a [*a]\n<<: *a\n")
	f.Add("---\n...\n---\n")
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := parseFile("tocsin.yaml", []byte(text))
		if err == nil {
			parsed.readRelays()
		}
	})
}

func TestHolds(t *testing.T) {
	t.Parallel()
	file := write(t, "tocsin.yaml", `zone: Europe/Amsterdam
holds:
- {from: 2026-11-09T21:00, until: 2026-11-10T00:00, reason: power feeds}
- {from: 2026-12-01T01:00, until: 2026-12-01T02:00, zone: UTC}
`)
	s, err := Read(nil, append(servers, "TOCSIN_CONFIG="+file))
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Serve()
	if err != nil {
		t.Fatal(err)
	}
	want := []Hold{
		{From: time.Date(2026, 11, 9, 20, 0, 0, 0, time.UTC), Until: time.Date(2026, 11, 9, 23, 0, 0, 0, time.UTC), Reason: "power feeds"},
		{From: time.Date(2026, 12, 1, 1, 0, 0, 0, time.UTC), Until: time.Date(2026, 12, 1, 2, 0, 0, 0, time.UTC)},
	}
	for i := range c.Holds {
		c.Holds[i].From, c.Holds[i].Until = c.Holds[i].From.UTC(), c.Holds[i].Until.UTC()
	}
	if diff := cmp.Diff(want, c.Holds); diff != "" {
		t.Errorf("holds (-want +got):\n%s", diff)
	}
	if s, err = Read(nil, servers); err != nil {
		t.Fatal(err)
	}
	if c, err = s.Serve(); err != nil || c.Holds != nil {
		t.Errorf("without a file the holds are %v (%v), want nil: the ledger's stay", c.Holds, err)
	}
}

func TestRetentionIsInDays(t *testing.T) {
	t.Parallel()
	env := []string{"DATABASE_URL=postgres://127.0.0.1/x", "REDIS_URL=redis://127.0.0.1"}
	for text, want := range map[string]time.Duration{"": 0, "400d": 400 * 24 * time.Hour, "7d": 7 * 24 * time.Hour} {
		c, err := settings(t, nil, env, "retention: "+text).Serve()
		if err != nil || c.Retention != want {
			t.Errorf("%q: %s, %v", text, c.Retention, err)
		}
	}
	for _, text := range []string{"400", "6d", "0d", "-8d", "d", "9600h", "99999d", "1y"} {
		_, err := settings(t, nil, append(env, "TOCSIN_RETENTION="+text), "").Serve()
		if err == nil || !strings.Contains(err.Error(), "TOCSIN_RETENTION (environment)") || !strings.Contains(err.Error(), "400d") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestBouncesTakesMailsToReturnPaths(t *testing.T) {
	t.Parallel()
	// That of a relay is read though the password of the relay is for the workers alone.
	s := settings(t, nil, []string{"TOCSIN_BOUNCES_LISTEN=127.0.0.1:2525", "TOCSIN_RETURN_PATH=bounces@One.example.net"},
		"relays:\n- {url: smtp://user@x, password_file: /nowhere/secret, return_path: returns@two.example.net}\n- {url: smtp://y}\n")
	c, err := s.Bounces()
	if err != nil || !slices.Equal(c.Domains, []string{"two.example.net", "one.example.net"}) {
		t.Errorf("%q, %v", c.Domains, err)
	}
	_, err = settings(t, nil, nil, "").Bounces()
	for _, name := range []string{"TOCSIN_BOUNCES_LISTEN", "TOCSIN_BOUNCES_LMTP", "TOCSIN_BOUNCES_MAILDIR", "TOCSIN_BOUNCES_IMAP_URL"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("with nothing set: %v, want %s named", err, name)
		}
	}
}
