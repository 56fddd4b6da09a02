package bounce

import (
	"slices"
	"testing"

	"tocsin/internal/notice"
)

// replies are typical replies of servers, by class.
var replies = map[notice.BounceClass][]string{
	notice.BouncePolicy: {
		"554 5.7.1 Service unavailable; client host [192.0.2.1] blocked using zen.dnsbl.example",
		"550 5.7.26 This mail is unauthenticated, which poses a security risk: SPF did not pass",
		"550 5.7.509 Access denied, sending domain example.net does not pass DMARC verification",
		"550 DKIM signature missing",
		"554 Your message looks like spam",
		"550 High probability of junk mail",
		"553 5.3.0 rejected because of the content",
		"552 5.7.0 an attachment was found that is not accepted here",
		"554 5.7.1 message refused by policy",
		"550 5.7.1 sender address rejected: domain not found",
		"550 relaying denied",
		"553 sorry, that domain isn't in my list of allowed rcpthosts",
		"450 4.7.25 client host rejected: cannot find your reverse hostname",
		"550 5.7.1 the IP you use to send has a bad reputation",
		"550 you are not allowed to send mail to this user",
		"550 header error: two From fields, see RFC 5322",
		"530 5.7.0 must issue a STARTTLS command first",
		"550 a virus was found",
		"521 5.7.1 your server is on our blacklist",
		"550 die Nachricht wurde abgelehnt, da sie gegen eine Richtlinie verstößt",
		"550 message refusé pour cause de politique locale",
		"554 письмо отклонено: спам",
		"550 迷惑メールのため拒否しました",
		"550 5.7.1 daily sending quota exceeded",
	},
	notice.BounceNoMailbox: {
		"550 5.1.1 <ann@example.org>: Recipient address rejected: User unknown in local recipient table",
		"550 No such user here",
		"550 unknown user",
		"550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
		"554 delivery error: This user doesn't have an example.org account (ann@example.org)",
		"550-5.1.1 The email account that you tried to reach does not exist.",
		"550 5.4.1 Recipient address rejected: Access denied",
		"5.4.4 Host or domain name not found. Name service error for name=example.org type=AAAA: Host not found",
		"550 mailbox not found",
		"551 user has moved to another address",
		"550 Benutzer unbekannt",
		"550 Empfängeradresse existiert nicht",
		"550 utilisateur inconnu",
		"550 el usuario no existe",
		"550 usuário não encontrado",
		"550 utente sconosciuto",
		"550 gebruiker onbekend",
		"550 użytkownik nieznany",
		"550 пользователь не найден",
		"550 宛先が見つかりません",
		"550 收件人不存在",
	},
	notice.BounceFull: {
		"552 5.2.2 mailbox full", "452 4.2.2 The recipient's inbox is out of storage space", "550 user is over quota", "554 quota exceeded", "552 mailbox size limit exceeded",
		"550 Das Postfach ist voll", "552 la boîte du destinataire est pleine", "552 buzón lleno", "552 caixa postal cheia", "552 メールボックスが一杯です", "552 почтовый ящик переполнен",
	},
	notice.BounceTransient: {
		"421 4.4.2 connection timed out", "connect to mx.example.org[192.0.2.7]:25: Connection refused", "451 4.3.0 temporary system problem, try again later", "452 4.3.1 insufficient system storage",
		"450 4.2.0 greylisted", "421 too many concurrent connections", "554 5.4.6 too many hops", "Message expired: unable to deliver in 840 minutes", "Host not found, try again",
	},
	notice.BounceOther: {"550 5.2.1 The email account that you tried to reach is disabled.", "552 5.3.4 message too big", "550 no", "556 domain does not accept mail"},
}

// classOf returns the class of a bounce with this diagnostic in its report.
func classOf(diagnostic string) notice.BounceClass {
	m := Read([]byte(dsn("Reporting-MTA: dns; a.example\n\nFinal-Recipient: rfc822; ann@example.org\nAction: failed\nDiagnostic-Code: smtp; " + diagnostic + "\n")))
	return m.Recipients[0].Class
}

func TestRepliesHaveClasses(t *testing.T) {
	t.Parallel()
	for want, all := range replies {
		for _, reply := range all {
			if got := classOf(reply); got != want {
				t.Errorf("%q is %s, want %s", reply, got, want)
			}
		}
	}
}

// A refusal for our sake that also speaks of the mailbox must not count against the mailbox.
func TestAPolicyIsNoDeadMailbox(t *testing.T) {
	t.Parallel()
	mailbox := []string{"user unknown", "no such user", "mailbox unavailable"}
	for _, policy := range replies[notice.BouncePolicy] {
		for _, about := range mailbox {
			for _, reply := range []string{policy + " (" + about + ")", policy[:4] + about + ": " + policy[4:]} {
				if got := classOf(reply); slices.Contains([]notice.BounceClass{notice.BounceNoMailbox, notice.BounceFull}, got) {
					t.Errorf("%q is %s", reply, got)
				}
			}
		}
	}
}

func TestStatusesHaveClasses(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]notice.BounceClass{
		"5.1.1": notice.BounceNoMailbox, "5.1.2": notice.BounceNoMailbox, "5.1.6": notice.BounceNoMailbox, "5.2.2": notice.BounceFull, "4.2.2": notice.BounceFull,
		"5.7.1": notice.BouncePolicy, "5.7.606": notice.BouncePolicy, "5.1.8": notice.BouncePolicy, "4.7.0": notice.BouncePolicy, "5.4.7": notice.BounceTransient,
		"4.4.1": notice.BounceTransient, "4.1.1": notice.BounceTransient, "4.0.0": notice.BounceTransient, "5.0.0": notice.BounceOther, "5.2.1": notice.BounceOther, "5.3.4": notice.BounceOther,
	} {
		m := Read([]byte(dsn("Reporting-MTA: dns; a.example\n\nFinal-Recipient: rfc822; ann@example.org\nAction: failed\nStatus: " + status + "\n")))
		if got := m.Recipients[0].Class; got != want {
			t.Errorf("%s is %s, want %s", status, got, want)
		}
	}
}
