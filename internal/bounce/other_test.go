package bounce

import (
	"encoding/base64"
	"strings"
	"testing"
)

// crlf returns a mail with the line ends of RFC 5322.
func crlf(text string) []byte {
	return []byte(strings.ReplaceAll(strings.TrimLeft(text, "\n"), "\n", "\r\n"))
}

// encoded returns text as an encoded word (RFC 2047).
func encoded(text string) string {
	return "=?utf-8?B?" + base64.StdEncoding.EncodeToString([]byte(text)) + "?="
}

// quotedBounce is how a mail program quotes a bounce that a person answers.
const quotedBounce = `
> This is the mail system at host mx.example.org.
> I'm sorry to have to inform you that your message could not be delivered.
> <ann@example.org>: host mx.example.org said: 550 5.1.1 User unknown
`

// enclosedBounce is a bounce that somebody passes on as an attachment.
const enclosedBounce = `Content-Type: multipart/mixed; boundary=out

--out
Content-Type: text/plain

Can you see what is wrong here?

--out
Content-Type: message/rfc822

From: MAILER-DAEMON@mx.example.org
Subject: Undelivered Mail Returned to Sender
Content-Type: multipart/report; report-type=delivery-status; boundary=in

--in
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; ann@example.org
Action: failed
Status: 5.1.1

--in--
--out--
`

func TestMailsOfPeopleAndListsAreNoBounces(t *testing.T) {
	t.Parallel()
	from := "From: Ann Example <ann@example.org>\nTo: status@example.net\n"
	for name, text := range map[string]string{
		"an answer":                           from + "Subject: Re: Maintenance tonight\nIn-Reply-To: <a.1@example.net>\n\nThanks for telling us.\n",
		"an answer that quotes a bounce":      from + "Subject: Re: Undelivered Mail Returned to Sender\n\nWhat does this mean?\n" + quotedBounce,
		"an answer about a bounce, to nobody": "Return-Path: <>\n" + from + "Subject: Re: Undeliverable: Maintenance\n\nIt worked the second time.\n" + quotedBounce,
		"a bounce passed on as an attachment": from + "Subject: Fwd: Undelivered Mail Returned to Sender\n" + enclosedBounce,
		"a bounce passed on, another subject": from + "Subject: your mail\n" + enclosedBounce,
		"a report among attachments": from + `Subject: Fwd: failure notice
Content-Type: multipart/mixed; boundary=x

--x
Content-Type: text/plain

FYI
--x
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; bob@example.org
Action: failed
Status: 5.1.1
--x--
`,
		"a German forward":    from + "Subject: WG: Unzustellbar: Wartung\n\nKannst du das bitte prüfen?\n",
		"a newsletter":        "From: News <news@shop.example>\nTo: status@example.net\nSubject: Returned items and failed deliveries: our new policy\nList-Unsubscribe: <https://shop.example/u>\nPrecedence: bulk\n\nParcels that could not be delivered are sent back.\n",
		"a parcel":            "From: Parcels <noreply@parcels.example>\nTo: status@example.net\nSubject: Delivery failed: your parcel 12345\nAuto-Submitted: auto-generated\n\nWe could not deliver your parcel to the address. Call 550 1234.\n",
		"list mail":           "From: Bob <bob@example.org>\nTo: mailop@lists.example\nSubject: [mailop] User unknown bounces from example.org\nList-Id: <mailop.lists.example>\nPrecedence: list\n\nSince today we see: 550 5.1.1 <ann@example.org>: User unknown\n",
		"a digest of a list":  "From: mailop-request@lists.example\nTo: mailop@lists.example\nSubject: mailop Digest, Vol 12, Issue 3\nList-Id: <mailop.lists.example>\nContent-Type: multipart/digest; boundary=d\n\n--d\n\nFrom: MAILER-DAEMON@mx.example.org\nSubject: failure notice\n\n550 user unknown\n--d--\n",
		"a ticket":            "From: Support <help@example.org>\nTo: status@example.net\nSubject: [#4711] We got your message\nAuto-Submitted: auto-generated\nPrecedence: bulk\n\nYour request was received.\n",
		"a DMARC summary":     "From: postmaster@example.org\nTo: dmarc@example.net\nSubject: Report domain: example.net Submitter: example.org\nContent-Type: multipart/mixed; boundary=r\n\n--r\nContent-Type: text/plain\n\nThis is an aggregate report.\n--r\nContent-Type: application/gzip\nContent-Transfer-Encoding: base64\n\nH4sIAAAAAAAA\n--r--\n",
		"a postmaster's mail": "From: Postmaster <postmaster@example.org>\nTo: status@example.net\nSubject: Our new servers\n\nFrom Monday on our mail servers have new addresses.\n",
		"a mail with nothing": "\n",
		"an invitation":       from + "Subject: Lunch?\nContent-Type: multipart/alternative; boundary=i\n\n--i\nContent-Type: text/html\n\n<p>At noon?</p>\n--i--\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if m := Read(crlf(text)); m.Kind != Other {
				t.Errorf("taken for %s: %+v", m.Kind, m)
			}
		})
	}
}

func TestAutomaticRepliesAreNoBounces(t *testing.T) {
	t.Parallel()
	for language, note := range map[string][2]string{
		"English":       {"Automatic reply: Maintenance tonight", "I am out of the office. Mail to this address is not read."},
		"English, away": {"Away until May 5", "I'm away. Your message was not delivered to a colleague."},
		"German":        {"Automatische Antwort: Wartung", "Ich bin nicht im Büro. Ihre Nachricht wird nicht weitergeleitet."},
		"German, out":   {"Abwesenheitsnotiz", "Ich bin bis Montag im Urlaub."},
		"French":        {"Réponse automatique : Maintenance", "Je suis absente jusqu'à lundi."},
		"Spanish":       {"Respuesta automática: Mantenimiento", "Estoy fuera de la oficina."},
		"Italian":       {"Risposta automatica: Manutenzione", "Sono fuori ufficio."},
		"Portuguese":    {"Resposta automática: Manutenção", "Estou de férias."},
		"Dutch":         {"Automatisch antwoord: Onderhoud", "Ik ben afwezig tot maandag."},
		"Swedish":       {"Autosvar: Underhåll", "Jag är på semester."},
		"Danish":        {"Automatisk svar: Vedligeholdelse", "Jeg er på ferie."},
		"Finnish":       {"Automaattinen vastaus: Huolto", "Olen lomalla."},
		"Polish":        {"Odpowiedź automatyczna: Prace", "Jestem na urlopie."},
		"Czech":         {"Automatická odpověď: Údržba", "Jsem mimo kancelář."},
		"Hungarian":     {"Automatikus válasz: Karbantartás", "Szabadságon vagyok."},
		"Russian":       {"Автоматический ответ: Работы", "Я в отпуске."},
		"Greek":         {"Αυτόματη απάντηση: Συντήρηση", "Λείπω."},
		"Turkish":       {"Otomatik yanıt: Bakım", "Ofiste değilim."},
		"Japanese":      {"自動応答: メンテナンス", "ただいま外出しております。"},
		"Chinese":       {"自动回复: 维护", "我不在办公室。"},
		"Korean":        {"자동 회신: 점검", "부재중입니다."},
		"Arabic":        {"رد تلقائي: صيانة", "أنا خارج المكتب."},
	} {
		for sender, begin := range map[string]string{
			"by a person":        "From: ann@example.org\n",
			"with a null sender": "Return-Path: <>\nFrom: Ann <ann@example.org>\n",
			"in answer":          "Return-Path: <>\nFrom: ann@example.org\nIn-Reply-To: <a.1@example.net>\nReferences: <a.1@example.net>\n",
		} {
			t.Run(language+" "+sender, func(t *testing.T) {
				t.Parallel()
				m := Read(crlf(begin + "To: bounces@example.net\nSubject: " + encoded(note[0]) + "\nContent-Type: text/plain; charset=utf-8\n\n" + note[1] + "\n"))
				if m.Kind != AutoReply || len(m.Recipients) > 0 {
					t.Errorf("taken for %s: %+v", m.Kind, m)
				}
			})
		}
	}
	for name, text := range map[string]string{
		"by RFC 3834":                "Return-Path: <>\nFrom: ann@example.org\nSubject: Thank you\nAuto-Submitted: auto-replied (vacation)\n\nI no longer work here, and this mailbox is no longer in use.\n",
		"that quotes the notice":     "Return-Path: <>\nFrom: ann@example.org\nSubject: Out of office\nAuto-Submitted: auto-replied\n\nBack on Monday.\n\nReceived: from a by b\nMessage-ID: <a.1@example.net>\nSubject: Undeliverable mail\nFrom: status@example.net\n\nMail could not be delivered.\n",
		"that names another address": "Return-Path: <>\nFrom: ann@example.org\nSubject: Out of the office\n\nThis mailbox is full of mail; write to bob@example.org instead, or call 550 5111.\n",
		"of a mail system's address": "From: postmaster@example.org\nSubject: Automatic reply: Maintenance\nAuto-Submitted: auto-replied\n\nThis address is read on weekdays.\n",
		"a receipt":                  "From: ann@example.org\nSubject: Read: Maintenance\nContent-Type: multipart/report; report-type=disposition-notification; boundary=m\n\n--m\nContent-Type: text/plain\n\nYour message was read.\n--m\nContent-Type: message/disposition-notification\n\nFinal-Recipient: rfc822;ann@example.org\nDisposition: manual-action/MDN-sent-manually; displayed\n--m--\n",
		"by a field of its own":      "From: ann@example.org\nSubject: Your message\nX-Autoreply: yes\n\nThanks.\n",
		"by precedence":              "From: ann@example.org\nSubject: Your message\nPrecedence: auto_reply\n\nThanks.\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if m := Read(crlf(text)); m.Kind != AutoReply {
				t.Errorf("taken for %s: %+v", m.Kind, m)
			}
		})
	}
}
