package bounce

import (
	"regexp"
	"strings"
)

var (
	// failurePattern is how mail systems say that a mail was not delivered.
	failurePattern = phrases(
		`undeliver(able|ed)`, `(non|not|un)[- ]?deliver`, `deliver(y|ing)?\b.{0,40}\b(fail|error|problem|unsuccessful)`,
		`fail(ed|ure)?\b.{0,30}\bdeliver`, `(could|can|was|has|have)( ?no|n')t\b.{0,40}\b(deliver|sent|reach)`,
		`(unable|not able|couldn't|trouble|error|problem)\b.{0,40}\bdeliver`, `did not reach`,
		`return(ed|ing)\b.{0,20}\b(mail|sender)`, `failure notice`, `mail (system )?(error|failure)`,
		`failed (recipient|address)`, `permanent (fatal )?(error|failure)`, `addresses had (delivery|permanent|fatal)`,
		`error sending your mail`, `rejected your message`, `your message was rejected`, `mail fail(ed|ure)`,
		`message (was |has been )?(bounced|rejected|refused|not accepted)`, `failure reasons`, `invalid (user )?address`,
		`delivery status notification`, `could not be (found|reached)`, `unzustellbar`, `nicht zugestellt`,
		`zustellung.{0,30}(fehl|nicht)`, `unzustellbarkeit`, `konnte.{0,40}nicht.{0,20}(zugestellt|gesendet)`,
		`non[- ]remis`, `n'a (pas )?pu être (remis|distribué|délivré)`, `échec.{0,30}(remise|livraison|distribution)`,
		`impossible de (remettre|livrer|distribuer)`, `retour à l'expéditeur`,
		`no (se )?(ha )?(podido|pudo).{0,20}entreg`, `no entregad`, `no se puede entregar`, `error.{0,20}entrega`,
		`falh[ao].{0,20}entrega`, `não (pôde|foi possível).{0,20}entreg`, `não entregue`,
		`mancat[ao] (recapito|consegna)`, `non (è stato )?(possibile )?(consegna|recapita)`,
		`impossibile (consegnare|recapitare)`, `onbestelbaar`, `niet (worden )?(bezorgd|afgeleverd)`,
		`kan niet worden bezorgd`, `kunde inte levereras`, `kunne ikke leveres`, `ikke leveret`, `olevererbar`,
		`ei voitu toimittaa`, `nie (mo[zż]na|uda[lł]o si[eę]).{0,20}(dostarczy|dor[eę]czy)`, `niedor[eę]czon`,
		`nedoru[cč]iteln`, `nelze doru[cč]it`, `k[eé]zbes[ií]thetetlen`, `teslim edilemedi`,
		`не (было |может быть )?доставлен`, `недоставлен`, `ошибка доставки`, `не вдалося доставити`, `送信できません`,
		`配信できません`, `配信不能`, `配送できません`, `送信に失敗`, `エラーのため`, `届けられません`, `配信に失敗`,
		`退信`, `无法投递`, `無法傳遞`, `投递失败`, `未送达`, `전송 실패`, `배달되지`, `반송`,
	)
	// delayPattern is how they say that they go on trying.
	delayPattern = phrases(
		`\(delay(ed)?\)`, `\bwarning: (message|could not send)`, `warning message only`, `delayed mail`,
		`delivery (is |has been |was )?delayed`, `has been delayed`, `(is|was) delayed`, `notification: warning`,
		`not yet been delivered`, `has not been delivered yet`,
		`will (be retried|keep trying|continue to (be )?tr(y|ied))`, `(do|you) not need to re-?send`,
		`temporary failure report`, `delivery attempts will continue`, `verzögert`, `verspätet zugestellt`,
		`remise (est )?(différée|retardée)`, `retardé`, `entrega (se ha )?(retrasad|demorad|atrasad)`, `retrasad[ao]`,
		`ritardat[ao]`, `vertraagd`, `försenad`, `forsinket`, `opóźnion`, `задерж(ан|ка)`, `配信が遅`, `遅延`, `延迟`,
		`延遲`, `지연`,
	)
	// replyPattern is a reply of an SMTP server that refuses (RFC 5321 §4.2), with an enhanced status (RFC 2034) or without.
	replyPattern = regexp.MustCompile(`(?:^|[\s:>'"(\[=,])([45][0-57]\d)(?:[ \-:]+#?([45]\.[0-7]\.\d{1,3})\b|[ \-:,](?:[^\d]|$))`)
	// lineBegin may stand before the address of a recipient: bullets, quotes, a reply or a label.
	lineBegin = regexp.MustCompile(`(?i)^(?:` + strings.Join([]string{
		`[\s>*|:\-"'\[(<•]`, `[45]\d\d[ -](?:[45]\.\d\.\d+ )?`,
		`(?:failed |final |original |intended )?(?:recipients?|address|rcpt to|user|mailbox|delivery failed|e-?mail)(?:\(s\))?[ \t]*[:=]`,
	}, "|") + `)*`)
	// aboutDelivery is in a line that names a recipient in a sentence.
	aboutDelivery = regexp.MustCompile(`(?i)deliver|recipient|address|mailbox|user|reject|fail|rcpt`)
	// helpLine is in a line that names an address to ask.
	helpLine = regexp.MustCompile(`(?i)contact|assistance|help|support@|abuse@|postmaster@|mailer-daemon@|mailto:postmaster`)
)

// readProse reads a bounce that tells in words for people. It leaves m as it is where the mail is none.
func (m *Mail) readProse(l *letter) {
	subject := l.header.get("Subject")
	told := failurePattern.in(fold(subject))
	switch {
	case l.mailer() && (told || failurePattern.in(fold(l.words)) || replyPattern.MatchString(l.words)):
	case l.header.get("In-Reply-To") != "" || answerPattern.MatchString(subject):
		return // of a person
	case told && (l.nullSender() || l.enclosed || l.returned != nil):
	case l.nullSender() && l.returned != nil && failurePattern.in(fold(l.words)):
	default:
		return
	}
	found := m.failed(l)
	if len(found) == 0 && !l.mailer() {
		return
	}
	done := Failed
	if delayPattern.in(fold(subject)) || delayPattern.in(fold(l.words)) {
		done = Delayed
	}
	m.Kind = Bounce // settle looks at the actions
	if len(found) == 0 {
		found = []string{""}
	}
	for _, address := range found {
		words := l.words
		if len(found) > 1 {
			words = passage(words, address, found)
		}
		m.Recipients = append(m.Recipients, Recipient{Final: address, Action: done, Diagnostic: diagnostic(words)})
	}
}

// answerPattern begins the subject of an answer, or of a mail that was passed on.
var answerPattern = regexp.MustCompile(`(?i)^\s*(re|aw|sv|antw|fwd?|wg|tr|rv|res|enc|odp|vs|ynt|回复|转发|答复)\s*(\[\d+\])?\s*[:：]`)

// failed returns the addresses that a bounce in words is about.
func (m *Mail) failed(l *letter) []string {
	if failed := addresses(l.header.get("X-Failed-Recipients")); len(failed) > 0 {
		return failed
	}
	from := addresses(l.header.get("From"))
	if found := named(l, append(from, m.SentTo...)); len(found) > 0 {
		return found
	}
	return named(l, from) // some put the address that failed into the header of the bounce
}

// named returns the addresses that the words of a bounce are about, other than own. These are addresses that begin a
// line, else those in a sentence about delivery, else the recipient of the returned mail, else any.
func named(l *letter, own []string) []string {
	var begun, mentioned, others []string
	for line := range strings.SplitSeq(l.words, "\n") {
		line = cut(line, 1000)
		if !strings.Contains(line, "@") {
			continue
		}
		before := len(lineBegin.FindString(line))
		if begin, end := nextAddress(line, before); begin == before && end > 0 {
			begun = add(begun, []string{line[begin:end]}, own)
		}
		switch {
		case helpLine.MatchString(line):
		case aboutDelivery.MatchString(line):
			mentioned = add(mentioned, addresses(line), own)
		default:
			others = add(others, addresses(line), own)
		}
	}
	var sent []string
	for _, name := range []string{"To", "Cc", "X-Envelope-To", "Delivered-To"} {
		sent = add(sent, addresses(l.returned.get(name)), own)
	}
	switch both := common(mentioned, sent); {
	case len(begun) > 0:
		return begun
	case len(both) > 0:
		return both
	case len(mentioned) > 0:
		return mentioned
	case len(sent) == 1:
		return sent
	}
	return others
}

// passage returns the lines about one of several addresses: from one that names it to one that names another.
func passage(words, address string, all []string) string {
	var out []string
	inside := false
	for line := range strings.SplitSeq(words, "\n") {
		if named := common(addresses(cut(line, 1000)), all); len(named) > 0 {
			inside = contains(named, address)
		}
		if inside {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

// diagnostic returns the words that say why: the first reply, with the lines that go on with it, else everything.
func diagnostic(words string) string {
	lines := strings.Split(words, "\n")
	for i, line := range lines {
		reply := replyPattern.FindStringSubmatch(line)
		if reply == nil {
			continue
		}
		text := strings.TrimSpace(line)
		for _, next := range lines[i+1:] {
			another := replyPattern.FindStringSubmatch(next)
			if next = strings.TrimSpace(next); next == "" || another != nil && another[1] != reply[1] || len(text) > maxDiagnostic {
				break
			}
			text += " " + next
		}
		return cutText(text, maxDiagnostic)
	}
	return cutText(strings.Join(strings.Fields(words), " "), maxDiagnostic)
}
