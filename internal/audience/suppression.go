package audience

import (
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"tocsin/internal/notice"
)

// The columns of a file of suppressions, under the names in the exports of SES, SendGrid, Mailgun, Postmark, Mailchimp
// and Mandrill.
var suppressionColumns = []columnNames{
	ofAddress: {"address", "email", "email address", "emailaddress", "email_address", "recipient"},
	ofReason:  {"reason", "suppressionreason", "suppression reason", "suppression_reason", "bounce type"},
	ofScope:   {"scope"},
	ofStatus:  {"status", "code"}, // of the SMTP reply, in an export of bounces
	ofError:   {"error"},          // Mailgun's bounces
	ofCleaned: {"clean_time"},     // Mailchimp's contacts that bounced
	ofLeft:    {"unsub_time"},     // Mailchimp's contacts that have unsubscribed
}

const (
	ofAddress = iota
	ofReason
	ofScope
	ofStatus
	ofError
	ofCleaned
	ofLeft
)

// SuppressionReader reads a file of suppressions. It may be a CSV: its header names the column of the addresses and
// may name those of reason and scope. It may be an export of a mail service, or addresses alone, one a line.
type SuppressionReader struct {
	table  *table
	ofRows notice.SuppressionRow // the reason and scope of rows that give none
}

// NewSuppressionReader returns a reader of the file; reason and scope are for rows that give none, "" for the usual ones. Its error
// is a *notice.Error if that can't be such a file.
func NewSuppressionReader(r io.Reader, reason string, scope notice.Scope) (*SuppressionReader, error) {
	if reason == "" {
		reason = notice.SuppressedRequest
	}
	reason, err := CheckReason(reason)
	if err != nil {
		return nil, err
	}
	if scope != "" {
		if err := CheckScope(scope); err != nil {
			return nil, err
		}
	}
	isAddress := func(cell string) bool { _, err := ParseSuppressed(cell); return err == nil }
	t, err := newTable(r, isAddress, suppressionColumns...)
	if err != nil {
		return nil, err
	}
	s := &SuppressionReader{table: t, ofRows: notice.SuppressionRow{Reason: reason, Scope: scope}}
	switch has := func(column int) bool { return t.at[column] >= 0 }; {
	case t.named == "": // without a header a file has addresses, and reasons at most
		for i := range t.at[ofScope:] {
			t.at[ofScope+i] = -1
		}
	case has(ofCleaned), has(ofError):
		s.ofRows.Reason = notice.SuppressedBounced
	case has(ofLeft):
		s.ofRows.Reason = notice.SuppressedRequest
	}
	return s, nil
}

// CheckScope refuses a scope that suppressions don't have with a *notice.Error.
func CheckScope(s notice.Scope) error {
	if slices.Contains(notice.Scopes, s) {
		return nil
	}
	return notice.Invalid("scope", "must be %s (every notice), %s (all but urgent ones), %s or %s", notice.ScopeAll, notice.ScopeNotUrgent,
		notice.ScopeAdvisory, notice.ScopePostmortem)
}

// Next returns the next good row, or else the rejection of a row, or else the error that ends the file. That error is
// io.EOF after the last row. A rejection never repeats the address.
func (r *SuppressionReader) Next() (row notice.SuppressionRow, _ *notice.Rejection, err error) {
	line, cells, bad, err := r.table.next()
	if err != nil {
		return row, nil, err
	}
	if bad != "" {
		return row, reject(line, "", bad), nil
	}
	row = r.ofRows
	row.Line = line
	if row.Key, err = ParseSuppressed(cells[ofAddress]); err != nil {
		return row, reject(line, "address", reasonOf(err)), nil
	}
	if reason, passes := serviceReason(cells[ofReason], cells[ofStatus]); passes {
		return row, reject(line, "reason", "is a failure that passes: no reason never to mail the address"), nil
	} else if reason != "" {
		if row.Reason, err = CheckReason(reason); err != nil {
			return row, reject(line, "reason", reasonOf(err)), nil
		}
	}
	if scope := notice.Scope(cells[ofScope]); scope != "" {
		row.Scope = scope
	}
	switch {
	case row.Scope == "" && row.Reason == notice.SuppressedComplaint:
		row.Scope = notice.ScopeNotUrgent
	case row.Scope == "":
		row.Scope = notice.ScopeAll
	}
	if err := CheckScope(row.Scope); err != nil {
		return row, reject(line, "scope", reasonOf(err)), nil
	}
	return row, nil, nil
}

// The reasons of mail services, by their letters in lower case, under the usual ones.
var serviceReasons = map[string]string{
	"bounce": notice.SuppressedBounced, "bounces": notice.SuppressedBounced, "bounced": notice.SuppressedBounced,
	"hardbounce": notice.SuppressedBounced, "hardbounced": notice.SuppressedBounced, "permanent": notice.SuppressedBounced,
	"invalidemail": notice.SuppressedBounced, "cleaned": notice.SuppressedBounced,
	"complaint": notice.SuppressedComplaint, "complaints": notice.SuppressedComplaint, "complained": notice.SuppressedComplaint,
	"spam": notice.SuppressedComplaint, "spamcomplaint": notice.SuppressedComplaint, "spamreport": notice.SuppressedComplaint,
	"abuse": notice.SuppressedComplaint,
	"unsub": notice.SuppressedRequest, "unsubscribe": notice.SuppressedRequest, "unsubscribed": notice.SuppressedRequest,
	"manualsuppression": notice.SuppressedRequest, "request": notice.SuppressedRequest,
	"softbounce": passing, "softbounced": passing, "transient": passing,
}

const passing = "4"

// An SMTP reply, by its code (RFC 5321 §4.2.1) or its enhanced code (RFC 3463), and the same alone in its cell.
var (
	smtpReply  = regexp.MustCompile(`^"?([45])\d\d[ -]|\b([45])\.\d{1,3}\.\d{1,3}\b`)
	smtpStatus = regexp.MustCompile(`^([456])(\d\d|\.\d{1,3}\.\d{1,3})$`) // Mailgun's own codes begin with 6
)

// serviceReason returns the reason that the cells of a row give, "" for none. Words of mail services and replies of
// servers become a usual reason. passes says that the row is about a failure that passes.
func serviceReason(text, status string) (reason string, passes bool) {
	class := ""
	if m := smtpStatus.FindStringSubmatch(status); m != nil {
		class = m[1]
	} else if m := smtpReply.FindStringSubmatch(text); m != nil {
		class = m[1] + m[2]
	}
	letters := strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, text)
	usual, known := serviceReasons[letters]
	switch {
	case class == passing, usual == passing:
		return "", true
	case known:
		return usual, false
	case class != "":
		return notice.SuppressedBounced, false
	}
	return text, false
}

// ParseSuppressed reads an entry of the list of suppressions, and returns its key. That is the key of an address, or
// "*@" and the domain of an entry for all mailboxes of a domain. Subdomains have entries of their own, and other
// patterns are refused: they would silently suppress nobody. Its error is a *notice.Error that does not repeat the
// entry.
func ParseSuppressed(s string) (key string, err error) {
	text := strings.TrimSpace(s)
	domain, whole := strings.CutPrefix(text, "*@")
	if whole && !strings.Contains(domain, "*") {
		a, err := ParseAddress("x@" + domain)
		if err != nil {
			return "", err
		}
		return "*@" + a.Domain, nil
	}
	a, err := ParseAddress(s)
	if strings.HasPrefix(text, "@") || strings.Contains(text, "*") || strings.Trim(a.Local, "%?_.") == "" && err == nil {
		return "", notice.Invalid("address", "is a pattern: write one address, or *@example.com for a whole domain; each subdomain is an entry of its own")
	}
	return a.Key(), err
}

// CheckReason puts the reason of a suppression in the form in which it is kept. Its error is a *notice.Error.
func CheckReason(text string) (string, error) {
	clean, reason := cleanText(text, notice.MaxReason)
	switch {
	case reason != "":
		return "", notice.Invalid("reason", "%s", reason)
	case clean == "":
		return "", notice.Invalid("reason", "is empty; say bounced, complaint, request or some words of your own")
	case !utf8.ValidString(clean) || strings.Contains(clean, "@"):
		return "", notice.Invalid("reason", "holds an @: an address does not belong there")
	}
	return clean, nil
}
