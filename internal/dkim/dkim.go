// Package dkim signs mails (RFC 6376, RFC 8463), makes keys, and compares them with the DNS.
//
// A mail is signed with one or two keys: relaxed/relaxed, over the whole body. The caller gives the instant for t=, so
// that a mail that is made again has the same signature. github.com/emersion/go-msgauth can't do that, and starts a
// goroutine for each mail; the tests verify with it.
package dkim

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Keys sign mails, each with a signature of its own. None sign nothing.
type Keys []*Key

// signed are the fields that a signature covers, where a mail has them (RFC 6376 §5.4.1, RFC 8058 §4).
var signed = []string{
	"from", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references", "reply-to", "sender", "mime-version",
	"content-type", "content-transfer-encoding", "content-language", "auto-submitted", "list-id", "list-unsubscribe",
	"list-unsubscribe-post", "feedback-id", "x-notice",
}

// sealed are those of which no other may be added on the way: each is named once more than it is there (RFC 6376 §8.15).
var sealed = map[string]bool{"from": true, "to": true, "cc": true, "subject": true, "date": true, "reply-to": true}

// Sign returns the message with its signatures in front of it; at is their t=. The message has CRLF line ends.
func (k Keys) Sign(message []byte, at time.Time) ([]byte, error) {
	if len(k) == 0 {
		return message, nil
	}
	end := bytes.Index(message, []byte("\r\n\r\n"))
	if end < 0 {
		return nil, fmt.Errorf("sign: the message has no end of its header")
	}
	names, fields := chosen(message[:end+2])
	sum := hashBody(message[end+4:])
	out := make([]byte, 0, len(message)+len(k)*1200)
	for _, key := range k {
		var err error
		if out, err = key.append(out, names, fields, sum, at); err != nil {
			return nil, err
		}
	}
	return append(out, message...), nil
}

// append appends the DKIM-Signature of a key, as a field with its line end.
func (k *Key) append(out []byte, names string, fields, body []byte, at time.Time) ([]byte, error) {
	begin := len(out)
	out = append(out, "DKIM-Signature: v=1; a="...)
	out = append(out, k.algorithm+"-sha256; c=relaxed/relaxed; d="+k.Domain+";\r\n\ts="+k.Selector+"; t="...)
	out = strconv.AppendInt(out, at.Unix(), 10)
	out = append(out, ";\r\n\th="...)
	out = append(out, names...)
	out = append(out, ";\r\n\tbh="...)
	out = base64.StdEncoding.AppendEncode(out, body)
	out = append(out, ";\r\n\tb="...)
	h := sha256.New()
	h.Write(fields)
	h.Write(bytes.TrimSuffix(appendField(nil, out[begin:]), []byte("\r\n")))
	how := crypto.SignerOpts(crypto.SHA256)
	if k.algorithm == ed25519Name {
		how = crypto.Hash(0) // RFC 8463 §3: the hash is the message that is signed
	}
	signature, err := k.signer.Sign(rand.Reader, h.Sum(nil), how)
	if err != nil {
		return nil, fmt.Errorf("sign with the key %s: %w", k.Selector, err)
	}
	text := base64.StdEncoding.EncodeToString(signature)
	for len(text) > lineLength {
		out = append(append(out, text[:lineLength]...), "\r\n\t"...)
		text = text[lineLength:]
	}
	return append(append(out, text...), "\r\n"...), nil
}

// lineLength is that of a folded line of a signature, without its fold.
const lineLength = 72

// chosen returns the names of the fields that are signed, as h= has them, folded, and the fields in the canonical form.
// Of several with the same name the last comes first (RFC 6376 §5.4.2).
func chosen(head []byte) (names string, fields []byte) {
	there := map[string][][]byte{}
	for len(head) > 0 {
		end := fieldEnd(head)
		if name, _, ok := bytes.Cut(head[:end], []byte(":")); ok {
			key := strings.ToLower(string(bytes.TrimSpace(name)))
			there[key] = append(there[key], head[:end])
		}
		head = head[end:]
	}
	var list []string
	for _, name := range signed {
		all := there[name]
		for i := len(all) - 1; i >= 0; i-- {
			fields = append(appendField(fields, all[i]), "\r\n"...)
			list = append(list, name)
		}
		if sealed[name] {
			list = append(list, name)
		}
	}
	return fold(list), fields
}

// fold joins names with colons, in lines of a moderate length.
func fold(names []string) string {
	var out strings.Builder
	col := 0
	for i, name := range names {
		if i > 0 {
			out.WriteByte(':')
			col++
		}
		if col > 0 && col+len(name) > lineLength {
			out.WriteString("\r\n\t ")
			col = 0
		}
		out.WriteString(name)
		col += len(name)
	}
	return out.String()
}

// fieldEnd returns where the first field of a header ends, with its folded lines.
func fieldEnd(head []byte) int {
	for at := 0; ; {
		n := bytes.Index(head[at:], []byte("\r\n"))
		if n < 0 {
			return len(head)
		}
		if at += n + 2; at == len(head) || head[at] != ' ' && head[at] != '\t' {
			return at
		}
	}
}
