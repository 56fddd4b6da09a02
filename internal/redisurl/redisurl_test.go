package redisurl

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

// seen are the settings that a client is made with.
type seen struct {
	Kind           Kind
	Hosts          []string
	Master         string
	User, Password string
	SentinelUser   string
	SentinelPass   string
	DB             int
	TLS            bool
	ServerName     string
}

func TestURLs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]seen{
		"redis://cache":                       {Hosts: []string{"cache:6379"}},
		"redis://":                            {Hosts: []string{"localhost:6379"}},
		"redis://:s3cret@cache:7000/3":        {Hosts: []string{"cache:7000"}, Password: "s3cret", DB: 3},
		"redis://[2001:db8::1]?db=2":          {Hosts: []string{"[2001:db8::1]:6379"}, DB: 2},
		"rediss://ada:s%40@cache":             {Hosts: []string{"cache:6379"}, User: "ada", Password: "s@", TLS: true},
		"rediss://10.0.0.1?server_name=cache": {Hosts: []string{"10.0.0.1:6379"}, TLS: true, ServerName: "cache"},
		"unix://ada:p@/run/redis.sock?db=4":   {Hosts: []string{"/run/redis.sock"}, User: "ada", Password: "p", DB: 4},
		"redis+sentinel://s1,s2:7001,s3/main": {Kind: Sentinel, Hosts: []string{"s1:26379", "s2:7001", "s3:26379"}, Master: "main"},
		"redis+sentinel://ada:p@s1/main/5?sentinel_username=eve&sentinel_password=q%26": {Kind: Sentinel, Hosts: []string{"s1:26379"}, Master: "main",
			User: "ada", Password: "p", SentinelUser: "eve", SentinelPass: "q&", DB: 5},
		"rediss+sentinel://:p@s1,s2/1?master_name=main&sentinel_password=q": {Kind: Sentinel, Hosts: []string{"s1:26379", "s2:26379"}, Master: "main",
			Password: "p", SentinelPass: "q", DB: 1, TLS: true},
		"redis://ada:p@n1,n2:7001,[::1]:7002/0": {Kind: Cluster, Hosts: []string{"n1:6379", "n2:7001", "[::1]:7002"}, User: "ada", Password: "p"},
		"rediss+cluster://:p@cfg.example.net":   {Kind: Cluster, Hosts: []string{"cfg.example.net:6379"}, Password: "p", TLS: true},
	} {
		s, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, see(t, s)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func see(t *testing.T, s *Servers) seen {
	t.Helper()
	got := seen{Kind: s.Kind, Hosts: s.Hosts, Master: s.Master}
	all, err := s.options(Tuning{"max_retries": "-1"})
	if err != nil {
		t.Fatal(err)
	}
	tuned, tls := 0, (&redis.Options{}).TLSConfig
	switch o := all.(type) {
	case *redis.FailoverOptions:
		if o.MasterName != s.Master || !cmp.Equal(o.SentinelAddrs, s.Hosts) {
			t.Errorf("the client looks for %s at %s", o.MasterName, o.SentinelAddrs)
		}
		got.User, got.Password, got.DB, tls, tuned = o.Username, o.Password, o.DB, o.TLSConfig, o.MaxRetries
		got.SentinelUser, got.SentinelPass = o.SentinelUsername, o.SentinelPassword
	case *redis.ClusterOptions:
		if !cmp.Equal(o.Addrs, s.Hosts) {
			t.Errorf("the client starts from %s", o.Addrs)
		}
		got.User, got.Password, tls, tuned = o.Username, o.Password, o.TLSConfig, o.MaxRetries
	case *redis.Options:
		if o.Addr != s.Hosts[0] {
			t.Errorf("the client asks %s", o.Addr)
		}
		got.User, got.Password, got.DB, tls, tuned = o.Username, o.Password, o.DB, o.TLSConfig, o.MaxRetries
	}
	if got.TLS = tls != nil; got.TLS {
		got.ServerName = tls.ServerName
	}
	if tuned != -1 {
		t.Errorf("retries: %d, want -1 of the tuning", tuned)
	}
	return got
}

func TestMalformedURLsAreNamedWithoutThePassword(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"http://:hidden@cache":                          "is not a URL such as redis://",
		"hidden":                                        "is not a URL such as redis://",
		"redis://:hid/den@cache":                        "a password that is not encoded; the form is redis://",
		"redis://:12?hidden@cache":                      "a password that is not encoded",
		"redis://:12#hidden@cache":                      "a password that is not encoded",
		"redis://:hidden%zz@cache":                      "a user, password or option that can't be read",
		"redis://hidden:more:6379":                      "a host that is not host:port, number 1",
		"redis://a:99999":                               "number 1",
		"redis://cache/hidden":                          "a database that is no number",
		"redis://cache?hidden=1":                        "an option that is unknown",
		"redis+sentinel://:hidden@s1,s2:x/main":         "a host that is not host:port, number 2; the form is redis+sentinel://",
		"redis+sentinel://:hidden@s1,,s3/main":          "number 2",
		"redis+sentinel://:hidden@s1,s2":                "does not name the master",
		"redis+sentinel://:hidden@s1/main/hidden":       "a database that is no number",
		"redis+sentinel://:12,hidden@s1":                "does not name the master",
		"redis+sentinel://s1/main?sentinel_pass=hidden": "an option that is unknown",
		"redis+cluster://:hidden@n1,n2/1":               "a Cluster has number 0 alone; the form is redis+cluster://",
		"redis://:hidden@n1,n2?db=2":                    "a Cluster has number 0 alone",
	} {
		_, err := Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v, want %q and not the password", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"redis://a:b@c/1", "redis+sentinel://a:b@c,d/e/2?sentinel_password=f", "redis://a,b", "unix:///a", "rediss+cluster://[::1]:7/", "redis://:,@/"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		if len(s.Hosts) == 0 || (s.Kind == Sentinel) != (s.Master != "") {
			t.Errorf("%q: %+v", text, s)
		}
		if _, err := s.options(Tuning{"dial_timeout": "1s"}); err != nil {
			t.Errorf("%q is read, and makes no client: %v", text, err)
		}
		s.one("127.0.0.1:1", s.user, nil)
	})
}

// FuzzPasswords has passwords of any kind in a URL, encoded or not: no error may tell them.
func FuzzPasswords(f *testing.F) {
	for _, p := range []string{"hunter2/x", "hunter2?x", "#hunter2", "a@hunter2", "hunter2,b:7", "%zzhunter2", "hunter2&x=y", "[hunter2]"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, password string) {
		for _, url := range []string{"redis://ada:" + password + "@cache", "redis+cluster://:" + password + "@a,b", "redis+sentinel://ada:" + password + "@a/main",
			"redis+sentinel://a/main?sentinel_password=" + password} {
			_, err := Parse(url)
			if err == nil {
				continue
			}
			for _, piece := range strings.FieldsFunc(password, func(c rune) bool { return strings.ContainsRune("/?#@,:&=", c) }) {
				if len(piece) > 8 && strings.Contains(err.Error(), piece) && !strings.Contains(known, piece) {
					t.Errorf("the error about %q tells the password: %v", url, err)
				}
			}
		}
	})
}

// known are words that stand in errors by themselves.
var known = Single.form() + Sentinel.form() + Cluster.form()
