package control

import (
	"bytes"
	"context"
	"mime"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"tocsin/internal/bounce"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/render"
)

// Message makes the mail of a delivery again, by the rules by which a worker makes it. The digest that was kept tells
// whether it is the one that was sent.
func (d *Desk) Message(ctx context.Context, ref string, seq int) (m notice.Message, err error) {
	n, err := d.find(ctx, ref)
	if err != nil {
		return m, err
	}
	k, err := d.Ledger.Message(ctx, n.ID, seq)
	if err != nil {
		return m, err
	}
	keys, err := d.Ledger.BounceKeys(ctx)
	if err != nil {
		return m, err
	}
	m = notice.Message{Number: n.ID, Key: n.Key, Seq: seq, State: k.Delivery.State, SentAt: k.Delivery.SentAt, MessageID: n.MessageID(seq), Headers: []notice.Header{}}
	var raw []byte
	if m.Proof, m.Why, raw = d.again(n, k, keys); raw == nil {
		return m, nil
	}
	return m, d.open(&m, n, raw)
}

// again makes the mail of a delivery, and judges it; there is none where it can't be made.
func (d *Desk) again(n ledger.Notice, k ledger.Kept, keys bounce.Keys) (p notice.Proof, why string, raw []byte) {
	switch {
	case len(k.Due.Recipient.Customers) == 0:
		return notice.ProofErased, "all customers of this mailbox were erased, and with them the parts of the mail", nil
	case k.Due.Recipient.Address == "":
		return notice.ProofNoMail, "there was no mailbox to send it to, so that no mail was made", nil
	}
	write, err := d.writing(n, k)
	if err == nil {
		raw, err = closest(k, stamps(n, k, keys), write)
	}
	if err != nil {
		return notice.ProofNoMail, "the mail can't be made: " + err.Error(), nil
	}
	p, why = judge(k, int64(xxhash.Sum64(raw)) == k.Digest)
	return p, why, raw
}

// writing returns the function that makes the message of a delivery: of its compiled mail, or, where none is kept, of the texts,
// as a worker does.
func (d *Desk) writing(n ledger.Notice, k ledger.Kept) (func(render.Stamp) ([]byte, error), error) {
	if k.Encoded != nil {
		m, err := render.Decode(k.Encoded)
		return func(st render.Stamp) ([]byte, error) { return m.Append(nil, k.Due.Recipient, st) }, err
	}
	p, err := d.compile(n.Body, n.Texts, n.Earlier)
	return func(st render.Stamp) ([]byte, error) {
		return p.programFor(k.Due.Corrects).Render(nil, k.Due.Recipient, k.Due.Text, st)
	}, err
}

// stamps are those that the message may have been sent with, that of a worker of today first. It may have had another mark
// before its subject, or have referred to another mail of the incident. An older key may have signed its reader's token.
func stamps(n ledger.Notice, k ledger.Kept, keys bounce.Keys) (all []render.Stamp) {
	marks := []string{"", notice.OnlyTo{"*"}.Mark()}
	if k.Marked {
		slices.Reverse(marks)
	}
	tokens := []string{""}
	if n.Body.Topic() != "" && len(keys) > 0 {
		tokens = nil
		for i := range keys {
			tokens = append(tokens, keys[i:].ReaderToken(n.ID, k.Due.Seq, n.MessageToken))
		}
	}
	for _, mark := range marks {
		for _, thread := range threads(k) {
			for _, token := range tokens {
				all = append(all, render.Stamp{MessageID: n.MessageID(k.Due.Seq), Thread: thread, NoticeKey: n.Key, Reader: token, Mark: mark, Date: n.Date(), Revision: n.Revision})
			}
		}
	}
	return all
}

// mostGuessed bounds how many earlier mails of an incident are tried in each combination.
const mostGuessed = 8

// threads are those that a mail may have been sent with, that of a worker of today first. A worker of before named one mail alone; and one that is known today
// to have arrived, or not, may have been thought otherwise then.
func threads(k ledger.Kept) [][]string {
	all := [][]string{k.Due.Thread, nil}
	for _, id := range k.Earlier {
		all = append(all, []string{id})
	}
	if len(k.Earlier) > mostGuessed {
		for i := range k.Due.Thread {
			all = append(all, slices.Delete(slices.Clone(k.Due.Thread), i, i+1))
		}
		return all
	}
	for chosen := range 1 << len(k.Earlier) {
		var thread []string
		for i, id := range k.Earlier {
			if chosen>>i&1 == 1 {
				thread = append(thread, id)
			}
		}
		if len(thread) > 1 {
			all = append(all, thread)
		}
	}
	return all
}

// closest makes the message with the first stamp, unless it was sent with another: then it is that one.
func closest(k ledger.Kept, stamps []render.Stamp, write func(render.Stamp) ([]byte, error)) (first []byte, err error) {
	for _, st := range stamps {
		raw, err := write(st)
		if err != nil || k.Digest == 0 || int64(xxhash.Sum64(raw)) == k.Digest {
			return raw, err
		}
		if first == nil {
			first = raw
		}
	}
	return first, nil
}

// judge compares a mail that was made again with the one that was sent. Without a digest, a state tells whether any may have left.
func judge(k ledger.Kept, same bool) (notice.Proof, string) {
	made := ""
	if k.Encoded == nil {
		made = "; its compiled mail is not kept, so that it was made with the templates and settings of today"
	}
	if k.Digest != 0 && !same {
		return notice.ProofDiffers, "this is not the mail that was sent: its digest is another one" + made
	}
	if same {
		return notice.ProofSame, "this is the mail that was sent: its bytes have the digest that was kept with the outcome"
	}
	if k.Erased > 0 {
		return notice.ProofNone, "a customer who shared this mailbox was erased: the mail is made again without them, and its digest is gone" + made
	}
	switch s := k.Delivery.State; {
	case s == notice.DeliverySending, s == notice.DeliveryUncertain:
		return notice.ProofNone, "no answer was recorded, and no digest with it: if the mail left, it is probably this one" + made
	case s == notice.DeliverySent, s == notice.DeliveryBounced:
		return notice.ProofNone, "no digest of the mail was kept: a version of before sent it, or an operator or a log said that it arrived" + made
	}
	return notice.ProofNotSent, "no mail has left: this is the one that would" + made
}

// open fills in the parts of a mail, and signs it.
func (d *Desk) open(m *notice.Message, n ledger.Notice, raw []byte) error {
	read, err := render.Open(raw)
	if err != nil {
		return err
	}
	m.Subject, m.Text, m.HTML = read.Subject, read.Text, read.HTML
	m.Headers = headers(raw)
	m.Signature = notice.SignatureNotKept
	if d.Sign != nil {
		m.Signature = notice.SignatureAgain
		raw, err = d.Sign(raw, n.Date())
	}
	m.Source = string(raw)
	return err
}

// headers returns the fields of a message's header, in their order.
func headers(raw []byte) (all []notice.Header) {
	head, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	unfolded := strings.NewReplacer("\r\n ", " ", "\r\n\t", " ").Replace(string(head))
	for line := range strings.SplitSeq(unfolded, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if decoded, err := new(mime.WordDecoder).DecodeHeader(value); err == nil {
			value = decoded
		}
		all = append(all, notice.Header{Name: name, Value: value})
	}
	return all
}
