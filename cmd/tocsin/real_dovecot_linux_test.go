package main

import (
	"testing"

	"tocsin/internal/config"
	"tocsin/internal/notice"
	"tocsin/internal/sink"
)

// TestDovecotSubmissionAsARelay has a Dovecot that hands each mail on while its sender waits for the answer. It takes
// passwords under TLS alone, three connections a user, and small mails without SMTPUTF8.
func TestDovecotSubmissionAsARelay(t *testing.T) {
	r := apartWith(t, "dovecot-submissiond")
	if r == nil {
		return
	}
	s, second := start(t), startSink(t, "127.0.0.1:0", sink.Options{})
	r.file("dovecot/dovecot.conf", r.settings(dovecotConf+dovecotSubmission, s.sink.Addr()))
	r.run([]string{"dovecot", "dovenull"}, "dovecot", "-F")
	dovecot := config.Relay{Name: "dovecot", URL: r.url("ada:secret@")}
	next := config.Relay{Name: "second", URL: "smtp://" + second.Addr().String()}

	all(t, through(t, parcel{"m%d@example.org", 60, 1000}, dovecot, next), notice.OutcomeSent, "dovecot", "queued")
	s.arrive(60)
	found(t, dovecot, notice.LevelOK, "it takes the user and password")

	wrong, open := dovecot, dovecot
	wrong.URL, open.URL = r.url("ada:hunter2@"), r.url("")
	for _, c := range []struct {
		relay config.Relay
		mail  parcel
		with  notice.Outcome // where there is a second relay
		by    string
		alone notice.Outcome // 0: nothing was tried
		says  string
	}{
		{wrong, parcel{"o%d@example.org", 4, 1000}, notice.OutcomeSent, "second", 0, ""},
		{open, parcel{"o%d@example.org", 4, 1000}, notice.OutcomeSent, "second", notice.OutcomeLater, "Authentication required"},
		{dovecot, parcel{"o%d@example.org", 4, 30_000}, notice.OutcomeSent, "second", notice.OutcomeNever, "takes 20480 at most (SIZE)"},
		{dovecot, parcel{"jürgen%d@example.org", 4, 1000}, notice.OutcomeSent, "second", notice.OutcomeNever, "does not offer SMTPUTF8"},
		{dovecot, parcel{"permfail%d@example.org", 20, 1000}, notice.OutcomeNever, "dovecot", notice.OutcomeNever, "No such mailbox"},
	} {
		all(t, through(t, c.mail, c.relay, next), c.with, c.by, "")
		if c.alone != 0 {
			all(t, through(t, c.mail, c.relay), c.alone, "dovecot", c.says)
		}
	}
	found(t, wrong, notice.LevelError, "refuses the password of the user (535)")
	if n := s.sink.Count(); n != 60 {
		t.Errorf("%d mails came through Dovecot, want 60", n)
	}

	s.throughAlone(r, 150)
}

// dovecotConf is the configuration of each Dovecot here.
const dovecotConf = `listen = 127.0.0.1
base_dir = DATA/run
state_dir = DATA/state
log_path = DATA/mainlog
hostname = HOST
ssl = required
ssl_cert = </etc/relay.crt
ssl_key = </etc/relay.key
auth_mechanisms = plain login
auth_failure_delay = 0
mail_location = maildir:DATA/mail
first_valid_uid = 1
passdb {
  driver = static
  args = user=ada password=secret
}
userdb {
  driver = static
  args = uid=dovecot gid=dovecot home=DATA
}
service anvil {
  chroot =
}
`

const dovecotSubmission = `protocols = submission
mail_max_userip_connections = 3
submission_relay_host = 127.0.0.1
submission_relay_port = NEXTPORT
submission_max_mail_size = 20k
service submission-login {
  chroot =
  inet_listener submission {
    port = PORT
  }
  inet_listener submissions {
    port = 0
  }
}
`
