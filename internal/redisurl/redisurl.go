// Package redisurl reads REDIS_URL, which names one Redis or Valkey, the primary that Sentinels know, or a Cluster, and
// makes clients of it. No error of it repeats a part of the URL, since any part may hold a piece of the password.
package redisurl

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Kind says how the servers of a URL belong together.
type Kind int

// The kinds.
const (
	Single   Kind = iota // one server, redis://
	Sentinel             // a primary with replicas, of which Sentinels know who is the primary, redis+sentinel://
	Cluster              // redis+cluster://, or redis:// with several hosts
)

// form is the right form of a URL of the kind.
func (k Kind) form() string {
	return [...]string{
		"redis://user:password@redis.example.net:6379/0",
		"redis+sentinel://user:password@sentinel1:26379,sentinel2:26379,sentinel3:26379/mymaster/0?sentinel_password=PASSWORD",
		"redis+cluster://user:password@node1:6379,node2:6379,node3:6379",
	}[k]
}

// Servers are those that a URL names.
type Servers struct {
	Kind   Kind
	Hosts  []string // host:port of the server, of Sentinels, or of nodes of a Cluster; the path of a socket
	Master string   // the primary's name among Sentinels

	url        *url.URL      // as go-redis reads one of the kind
	user       *url.Userinfo // at the servers
	watcher    *url.Userinfo // at the Sentinels
	serverName string        // in the servers' certificates; "" = the address that is dialled
}

// schemes are the beginnings of URLs: go-redis' scheme and the kind.
var schemes = map[string]struct {
	transport string
	kind      Kind
}{
	"redis": {"redis", Single}, "rediss": {"rediss", Single}, "unix": {"unix", Single},
	"redis+sentinel": {"redis", Sentinel}, "rediss+sentinel": {"rediss", Sentinel},
	"redis+cluster": {"redis", Cluster}, "rediss+cluster": {"rediss", Cluster},
}

// Parse reads a URL. Its errors say in which part it is wrong, and the right form, and fit behind the setting's name.
func Parse(text string) (*Servers, error) {
	name, rest, _ := strings.Cut(text, "://")
	scheme, known := schemes[strings.ToLower(name)]
	if !known {
		return nil, fmt.Errorf("is not a URL such as %s, or redis+sentinel:// or redis+cluster:// with several hosts; rediss has TLS%s", Single.form(), percent)
	}
	s := &Servers{Kind: scheme.kind}
	end := strings.IndexAny(rest+"/", "/?#")
	authority, rest := rest[:end], rest[end:]
	at := strings.LastIndexByte(authority, '@')
	// net/url takes one host, so it is given the first.
	hosts := strings.Split(authority[at+1:], ",")
	if s.Kind == Single && len(hosts) > 1 && scheme.transport != "unix" {
		s.Kind = Cluster
	}
	if strings.ContainsAny(rest, "@#") {
		return nil, s.wrong("has @ or # behind its hosts, or a password that is not encoded")
	}
	u, err := url.Parse(scheme.transport + "://" + authority[:at+1] + "host" + rest)
	if err != nil {
		return nil, s.wrong("has a user, password or option that can't be read")
	}
	if scheme.transport == "unix" {
		u.Host, s.Hosts = authority[at+1:], []string{u.Path}
	} else if err := s.readHosts(hosts); err != nil {
		return nil, err
	} else {
		u.Host = s.Hosts[0]
	}
	if err := s.read(u); err != nil {
		return nil, err
	}
	if _, err := s.options(nil); err != nil {
		// Not repeated: it quotes options.
		return nil, s.wrong("has a database that is no number, or an option that is unknown or can't be read")
	}
	return s, nil
}

const percent = "; special characters of a password are percent-encoded"

// wrong is the error about a URL of a known kind.
func (s *Servers) wrong(format string, args ...any) error {
	return fmt.Errorf("%s; the form is %s%s", fmt.Sprintf(format, args...), s.Kind.form(), percent)
}

// hostName is a name or an address.
var hostName = regexp.MustCompile(`^[\pL\pN._:-]+$`)

// readHosts reads the hosts, and gives the kind's port to those that have none.
func (s *Servers) readHosts(hosts []string) error {
	port := "6379"
	if s.Kind == Sentinel {
		port = "26379"
	}
	for i, host := range hosts {
		if s.Kind == Single && (host == "" || host[0] == ':') {
			host = "localhost" + host
		}
		if strings.HasSuffix(host, "]") || !strings.Contains(host, ":") {
			host += ":" + port
		}
		name, number, err := net.SplitHostPort(host)
		if err == nil {
			_, err = strconv.ParseUint(number, 10, 16)
		}
		if err != nil || !hostName.MatchString(name) {
			return s.wrong("has a host that is not host:port, number %d", i+1)
		}
		s.Hosts = append(s.Hosts, net.JoinHostPort(name, number))
	}
	return nil
}

// read reads path and options, and makes a URL of them as go-redis has it.
func (s *Servers) read(u *url.URL) error {
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return s.wrong("has options that can't be read")
	}
	s.user, s.serverName = u.User, take(q, "server_name")
	path := strings.Split(strings.Trim(u.Path, "/"), "/")
	switch s.Kind {
	case Sentinel:
		if !q.Has("master_name") { // as go-redis has it, with the database as the path
			q.Set("master_name", path[0])
			u.Path = "/" + strings.Join(path[1:], "/")
		}
		if s.Master = q.Get("master_name"); s.Master == "" {
			return s.wrong("does not name the master that the Sentinels watch")
		}
		password, _ := s.user.Password()
		q.Set("username", s.user.Username())
		q.Set("password", password)
		s.watcher = url.UserPassword(take(q, "sentinel_username"), take(q, "sentinel_password"))
		u.User = s.watcher
	case Cluster:
		if number := path[0] + take(q, "db"); strings.Trim(number, "0") != "" {
			return s.wrong("names a database, and a Cluster has number 0 alone")
		}
		u.Path = ""
	}
	if s.Kind != Single {
		q["addr"] = s.Hosts[1:]
	}
	u.RawQuery, s.url = q.Encode(), u
	return nil
}

// take removes an option and returns it.
func take(q url.Values, name string) string {
	defer q.Del(name)
	return q.Get(name)
}

// Tuning are options of go-redis' URLs that go before those of the URL, such as dial_timeout.
type Tuning map[string]string

// options returns go-redis' options: *redis.Options, *redis.FailoverOptions or *redis.ClusterOptions.
func (s *Servers) options(tuning Tuning) (any, error) {
	switch text := tuned(*s.url, tuning); s.Kind {
	case Sentinel:
		o, err := redis.ParseFailoverURL(text)
		if err != nil {
			return nil, err
		}
		o.TLSConfig, o.DialerRetries = s.verify(o.TLSConfig), dials
		return o, nil
	case Cluster:
		o, err := redis.ParseClusterURL(text)
		if err != nil {
			return nil, err
		}
		o.TLSConfig, o.DialerRetries = s.verify(o.TLSConfig), dials
		return o, nil
	default:
		o, err := redis.ParseURL(text)
		if err != nil {
			return nil, err
		}
		o.TLSConfig, o.DialerRetries = s.verify(o.TLSConfig), dials
		return o, nil
	}
}

// dials is how often a connection is tried at once: all that use Redis ask again by themselves.
const dials = 1

func tuned(u url.URL, tuning Tuning) string {
	q := u.Query()
	for name, value := range tuning {
		q.Set(name, value)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// verify says for which name certificates have to be valid: server_name, or the address that is dialled. go-redis would
// have all servers bear the first host's.
func (s *Servers) verify(c *tls.Config) *tls.Config {
	if c != nil {
		c.ServerName, c.MinVersion = s.serverName, tls.VersionTLS12
	}
	return c
}

// Client returns a client of the servers. It does not connect: they may be away, now or later.
func (s *Servers) Client(tuning Tuning) redis.UniversalClient {
	o, err := s.options(tuning)
	if err != nil {
		panic("tuning of Redis' client can't be read") // Parse has read the rest
	}
	switch o := o.(type) {
	case *redis.FailoverOptions:
		return redis.NewFailoverClient(o)
	case *redis.ClusterOptions:
		return redis.NewClusterClient(o)
	default:
		return redis.NewClient(o.(*redis.Options))
	}
}

// Node returns a client of one of the servers.
func (s *Servers) Node(addr string, tuning Tuning) *redis.Client {
	return redis.NewClient(s.one(addr, s.user, tuning))
}

// Watcher returns a client of one of the Sentinels.
func (s *Servers) Watcher(addr string, tuning Tuning) *redis.SentinelClient {
	return redis.NewSentinelClient(s.one(addr, s.watcher, tuning))
}

func (s *Servers) one(addr string, user *url.Userinfo, tuning Tuning) *redis.Options {
	one := *s
	if s.Kind != Single {
		one.Kind, one.url = Single, &url.URL{Scheme: s.url.Scheme, User: user, Host: addr}
		if skip := s.url.Query().Get("skip_verify"); skip != "" {
			one.url.RawQuery = "skip_verify=" + url.QueryEscape(skip)
		}
	}
	o, err := one.options(tuning)
	if err != nil {
		panic("tuning of Redis' client can't be read")
	}
	return o.(*redis.Options)
}

// String names the servers, without user and password.
func (s *Servers) String() string { return strings.Join(s.Hosts, ", ") }

// Open reads a URL and returns a client of the servers that it names.
func Open(text string, tuning Tuning) (redis.UniversalClient, *Servers, error) {
	s, err := Parse(text)
	if err != nil {
		return nil, nil, fmt.Errorf("REDIS_URL %w", err)
	}
	return s.Client(tuning), s, nil
}
