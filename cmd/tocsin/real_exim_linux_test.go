package main

import (
	"regexp"
	"strings"
	"testing"

	"tocsin/internal/config"
	"tocsin/internal/notice"
	"tocsin/internal/sink"
)

// TestEximAsARelay has an Exim that takes passwords under TLS alone, three connections at once and ten mails on each. It
// takes small mails without SMTPUTF8, and only so many a second for example.com.
func TestEximAsARelay(t *testing.T) {
	r := apartWith(t, "exim4-daemon-light")
	if r == nil {
		return
	}
	s, second := start(t), startSink(t, "127.0.0.1:0", sink.Options{})
	r.file("exim4/exim4.conf", r.settings(eximConf, s.sink.Addr()))
	r.run([]string{"Debian-exim"}, "exim4", "-bdf", "-q1s")
	exim := config.Relay{Name: "exim", URL: r.url("ada:secret@")}
	next := config.Relay{Name: "second", URL: "smtp://" + second.Addr().String()}

	all(t, through(t, parcel{"m%d@example.org", 60, 1000}, exim, next), notice.OutcomeSent, "exim", "OK id=")
	s.arrive(60)
	for line := range strings.Lines(r.log()) {
		if strings.Contains(line, " <= ") && !(strings.Contains(line, " P=esmtpsa ") && strings.Contains(line, " A=plain:ada ") && regexp.MustCompile(` L\b`).MatchString(line)) {
			t.Errorf("taken without TLS, a password or PIPELINING: %s", line)
		}
	}
	found(t, exim, notice.LevelOK, "it takes the user and password")

	// Refused for good are mailboxes, among others that are not; Exim counts the commands of a connection that carries
	// no mail.
	all(t, through(t, parcel{"n%d@gone.example", 60, 1000}, exim, next), notice.OutcomeNever, "exim", "Unrouteable address")
	all(t, through(t, parcel{"n%d@example.org", 10, 1000}, exim, next), notice.OutcomeSent, "exim", "OK id=")
	s.arrive(70)

	wrong, bare, open := exim, exim, exim
	wrong.URL, bare.Hello, open.URL = r.url("ada:hunter2@"), "web_1", r.url("")
	for _, c := range []struct {
		relay config.Relay
		mail  parcel
		alone notice.Outcome // 0: nothing was tried
		says  string
	}{
		{wrong, parcel{"o%d@example.org", 4, 1000}, 0, ""},
		{bare, parcel{"o%d@example.org", 4, 1000}, 0, ""},
		{open, parcel{"o%d@example.org", 4, 1000}, notice.OutcomeNever, "relay not permitted"},
		{exim, parcel{"o%d@example.org", 4, 30_000}, notice.OutcomeNever, "takes 20480 at most (SIZE)"},
		{exim, parcel{"jürgen%d@example.org", 4, 1000}, notice.OutcomeNever, "does not offer SMTPUTF8"},
		{exim, parcel{"o%d@later.example", 4, 1000}, notice.OutcomeLater, "Too many mails"},
	} {
		if c.alone != notice.OutcomeLater {
			all(t, through(t, c.mail, c.relay, next), notice.OutcomeSent, "second", "")
		}
		if c.alone != 0 {
			all(t, through(t, c.mail, c.relay), c.alone, "exim", c.says)
		}
	}
	found(t, wrong, notice.LevelError, "refuses the password of the user (535)")
	found(t, bare, notice.LevelError, "it refuses the name in EHLO: 501")
	if n := s.sink.Count(); n != 70 {
		t.Errorf("%d mails came through Exim, want 70", n)
	}

	s.throughAlone(r, 60)
	if !strings.Contains(r.log(), "temporarily rejected RCPT <c") {
		t.Error("Exim's limit for example.com was not met")
	}
}

const eximConf = `primary_hostname = HOST
spool_directory = DATA/spool
log_file_path = DATA/%slog
log_selector = +pipelining
daemon_smtp_ports = PORT
local_interfaces = 127.0.0.1
keep_environment =
deliver_drop_privilege
host_lookup =
rfc1413_hosts =
tls_advertise_hosts = *
tls_certificate = /etc/relay.crt
tls_privatekey = /etc/relay.key
auth_advertise_hosts = ${if def:tls_in_cipher{*}}
message_size_limit = 20K
smtputf8_advertise_hosts =
smtp_accept_max_per_host = 3
smtp_accept_max_per_connection = 10
acl_smtp_rcpt = rcpt
begin acl
rcpt:
  deny domains = gone.example
       message = Unrouteable address
  defer domains = later.example
       message = Too many mails
  defer domains = example.com
       ratelimit = 10 / 5s / per_rcpt / leaky
       message = Sender rate $sender_rate / $sender_rate_period
  accept authenticated = *
  deny message = relay not permitted
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${if and{{eq{$auth2}{ada}}{eq{$auth3}{secret}}}}
  server_set_id = $auth2
begin routers
next:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = next
begin transports
next:
  driver = smtp
  port = NEXTPORT
  hosts_try_dane =
  hosts_try_chunking =
begin retry
* * F,10m,1s
`
