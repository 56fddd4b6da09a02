package config

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/internal/notice"
	"tocsin/internal/redisurl"
)

// text returns the parser of a setting that stays the text that it is. check, which may be nil, may refuse the text.
func text(check func(string) error) func(string) (any, error) {
	return func(text string) (any, error) {
		if check == nil {
			return text, nil
		}
		return text, check(text)
	}
}

// webURL parses a URL, and cuts a slash off its end.
func webURL(text string) (any, error) {
	return strings.TrimRight(text, "/"), isWebURL(text)
}

// mostPublic is how long the address of the pages of readers may be: it stands on a line of each mail with one.
const mostPublic = 200

// publicURL parses a URL that stands in the header of mails (RFC 2369 §2).
func publicURL(text string) (any, error) {
	value, err := webURL(text)
	foreign := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("<>\"\\#", r) }
	if err == nil && (strings.ContainsFunc(text, foreign) || len(text) > mostPublic) {
		err = fmt.Errorf("can't stand in a mail: it has at most %d letters of ASCII, a name beyond them as xn--…, no blanks and none of < > \" \\ #", mostPublic)
	}
	return value, err
}

// issuerURL parses the URL of an issuer. A slash at its end stays: the issuer's own name has one or not.
func issuerURL(text string) (any, error) {
	if err := isWebURL(text); err != nil {
		return nil, err
	}
	if u, _ := url.Parse(text); u.Scheme != "https" && !isLoopback(u.Hostname()) {
		return nil, errors.New("is not https: whoever is on the way could sign in as anybody")
	}
	return text, nil
}

func isWord(text string) error {
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("has blanks, or letters beyond ASCII")
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// scopes parses OAuth scopes, of which openid is one.
func scopes(text string) (any, error) {
	all := list(text)
	if !slices.Contains(all, "openid") {
		return nil, errors.New("lacks openid, without which the issuer says nothing of a person")
	}
	return all, nil
}

// claimRoles parses roles by values of a claim.
func claimRoles(text string) (any, error) {
	roles := map[string]notice.TokenRole{}
	for _, one := range list(text) {
		at := strings.LastIndex(one, "=")
		if at < 1 {
			return nil, fmt.Errorf("has %q, which is no VALUE=ROLE such as support=viewer", one)
		}
		role := notice.TokenRole(strings.TrimSpace(one[at+1:]))
		if notice.CheckPeopleRole(role) != nil {
			return nil, fmt.Errorf("has the role %q, which is not viewer, sender, approver or admin", role)
		}
		roles[strings.TrimSpace(one[:at])] = role
	}
	return roles, nil
}

// networks parses addresses and networks.
func networks(text string) (any, error) {
	var all []netip.Prefix
	for _, one := range list(text) {
		p, err := netip.ParsePrefix(one)
		if ip, ipErr := netip.ParseAddr(one); ipErr == nil {
			p, err = ip.Prefix(ip.BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("has %q, which is no address or network such as 10.0.0.0/8", one)
		}
		if p.Bits() == 0 {
			return nil, fmt.Errorf("has %q, which is everybody: then anybody could make up an address", one)
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

// topicARN is the ARN of a topic of Amazon SNS.
var topicARN = regexp.MustCompile(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}$`)

// topics parses ARNs of SNS topics.
func topics(text string) (any, error) {
	all := list(text)
	for _, arn := range all {
		if !topicARN.MatchString(arn) {
			return nil, fmt.Errorf("has %q, which is no ARN such as arn:aws:sns:eu-central-1:123456789012:bounces", arn)
		}
	}
	return all, nil
}

func isSendGridKey(text string) error {
	der, err := base64.StdEncoding.DecodeString(text)
	if err == nil {
		_, err = x509.ParsePKIXPublicKey(der)
	}
	if err != nil {
		return errors.New("is not the verification key that SendGrid shows: base64 of a public key")
	}
	return nil
}

// tokens parses one or two bearer tokens.
func tokens(text string) (any, error) {
	return list(text), isTokens(text)
}

// whole returns the parser of a whole number.
func whole(least, most int) func(string) (any, error) {
	return func(text string) (any, error) {
		n, err := strconv.Atoi(text)
		if err != nil || n < least || n > most {
			return nil, fmt.Errorf("is not a whole number from %d to %d", least, most)
		}
		return n, nil
	}
}

// duration returns the parser of a length of time of at least so much.
func duration(example string, least time.Duration) func(string) (any, error) {
	return func(text string) (any, error) {
		d, err := time.ParseDuration(text)
		if err != nil || d < least {
			return nil, fmt.Errorf("is not a length of time such as %s, of %s or more", example, least)
		}
		return d, nil
	}
}

// leastRetention is above every time that the protocol and its operators need the rows for.
const leastRetention = 7

// days returns the parser of a length of time in whole days, at least so many.
func days(least int) func(string) (any, error) {
	return func(text string) (any, error) {
		n, err := strconv.Atoi(strings.TrimSuffix(text, "d"))
		if err != nil || !strings.HasSuffix(text, "d") || n < least || n > 100*366 {
			return nil, fmt.Errorf("is not a number of days such as 400d, of %dd or more", least)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
}

// list splits a comma-separated setting, nil where it holds nothing.
func list(text string) (parts []string) {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

func isLog(text string) error {
	if text != "text" && text != "json" {
		return errors.New("is neither text nor json")
	}
	return nil
}

func isListen(text string) error {
	_, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return errors.New("is not host:port such as 127.0.0.1:8080")
	}
	return nil
}

func isSocket(text string) error {
	if !strings.HasPrefix(text, "/") && isListen(text) != nil {
		return errors.New("is neither host:port nor the full path of a socket such as /run/tocsin/lmtp")
	}
	return nil
}

func isWebURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return errors.New("is not a URL such as https://tocsin.example.net")
	}
	return nil
}

// The checks of secrets never repeat the text, nor the error of net/url: both may hold a password.

const percent = "; special characters of a password are percent-encoded"

func isDatabaseURL(text string) error {
	if strings.Contains(text, "=") && !strings.Contains(text, "://") {
		return nil // libpq's keyword=value form
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return errors.New("is not a URL such as postgres://tocsin:password@db.example.net/tocsin" + percent)
	}
	return nil
}

func isRedisURL(text string) error {
	_, err := redisurl.Parse(text)
	return err
}

func isSMTPURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" {
		return errors.New("is not a URL such as smtp://user:password@smtp.example.net:587 or smtps://smtp.example.net" + percent)
	}
	return nil
}

func isIMAPURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "imap" && u.Scheme != "imaps" || u.Hostname() == "" {
		return errors.New("is not a URL such as imaps://user:password@imap.example.net/INBOX" + percent)
	}
	return nil
}

func isTokens(text string) error {
	tokens := list(text)
	if len(tokens) == 0 || len(tokens) > 2 {
		return fmt.Errorf("holds %d tokens; it is one, or two separated by a comma while rotating", len(tokens))
	}
	for _, t := range tokens {
		if err := isSecret(t); err != nil {
			return err
		}
	}
	return nil
}

// isSecret checks a token, key or password that goes over HTTP.
func isSecret(text string) error {
	if strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return errors.New("has a character that such a secret can't have: printable ASCII without spaces is right")
	}
	return nil
}

func isAddress(text string) error {
	if _, err := mail.ParseAddress(text); err != nil {
		return errors.New("is not one address such as Example Status <status@example.net>")
	}
	return nil
}

// returnPath is an address of ASCII that leaves room for a token. A local part has 64 octets (RFC 5321 §4.5.3.1.1),
// and bounces+ with the longest token just fits.
var returnPath = regexp.MustCompile(`^[A-Za-z0-9._=-]{1,20}@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$`)

func isReturnPath(text string) error {
	if !returnPath.MatchString(text) {
		return errors.New("is not an address such as bounces@status.example.net: its local part has at most 20 letters, digits and any of ._=-")
	}
	return nil
}

// helloName is a domain, or an address literal, as EHLO takes it (RFC 5321 §4.1.2, §4.1.3).
var helloName = regexp.MustCompile(`(?i)^([a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*|\[[0-9.]+\]|\[IPv6:[0-9a-f:.]+\])$`)

func isHello(text string) error {
	if !helloName.MatchString(text) || len(text) > 255 {
		return errors.New("is not a host name such as mta.example.net")
	}
	return nil
}

func isZone(text string) error {
	if _, err := notice.LoadZone(text); err != nil || text == "" {
		return errors.New("is not an IANA time zone such as Europe/Amsterdam")
	}
	return nil
}

func isDirectory(text string) error {
	if info, err := os.Stat(text); err != nil || !info.IsDir() {
		return errors.New("is not a directory that can be read")
	}
	return nil
}
