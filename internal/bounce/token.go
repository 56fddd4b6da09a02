package bounce

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"math"
	"strings"
)

// Attempt names one attempt of one delivery: by the notice, the delivery's number in it and the epoch of the claim.
// The ledger counts them. None is negative.
type Attempt struct {
	Notice int64
	Seq    int
	Epoch  int64
}

// TokenPrefix stands before the token in the local part of an envelope sender: bounces+<token>@example.net. With it a
// local part has at most 64 octets, the limit of RFC 5321 §4.5.3.1.1, and about 42 for the numbers of today.
const TokenPrefix = "bounces+"

// Keys are the secrets that tokens are signed with. The first one signs, and each is accepted. So a key can be
// replaced while mails with tokens of the one before may still come back. A key wants 16 random bytes or more.
type Keys [][]byte

// kind is a kind of tokens. The same key may sign other kinds, or anything else: the label keeps a MAC of one kind
// from being one of these.
type kind struct {
	label   string
	numbers int // that a token signs
	mac     int // bytes of its MAC
}

var (
	// A forger of an attempt has one try a mail, and no way to see how near it came.
	ofAttempt = kind{label: "tocsin bounce token 1\x00", numbers: 3, mac: 8}
	// A forger of a reader's token may try as often as a web server answers. An address has room for a longer MAC.
	ofReader = kind{label: "tocsin reader token 1\x00", numbers: 2, mac: 16}
)

// A token of an attempt is three numbers of at least one byte, and the MAC.
const minToken, maxToken = ((3+8)*8 + 4) / 5, ((3*binary.MaxVarintLen64-3+8)*8 + 4) / 5

// tokenText is RFC 4648 §6 in lower case. Mail systems may change the case of a local part, and any of them reads
// lower case.
var tokenText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ErrToken says that a text is no token, or none that these keys signed.
var ErrToken = errors.New("it is no token of ours")

// Token returns the token of an attempt: lower-case base32 of its numbers and a MAC.
func (k Keys) Token(a Attempt) string {
	return k.sign(ofAttempt, "", a.Notice, int64(a.Seq), a.Epoch)
}

// Attempt returns the attempt that a token names, in whatever case it comes. Its error is ErrToken.
func (k Keys) Attempt(token string) (a Attempt, err error) {
	numbers, signed, sum, err := parse(ofAttempt, token)
	if err != nil {
		return a, err
	}
	known := false
	for _, key := range k {
		known = hmac.Equal(sum, ofAttempt.sum(key, signed, "")) || known
	}
	if !known {
		return a, ErrToken
	}
	return Attempt{Notice: numbers[0], Seq: int(numbers[1]), Epoch: numbers[2]}, nil
}

// ReaderToken returns the token that admits the reader of a delivery to the choice of their mails. It is no token of
// an attempt, and none of an attempt is one of a reader. It is the same for ever, so that all attempts of a delivery
// send the same bytes. A ledger that was restored from a backup, or a copy of it, gives the number of a notice to
// another one. So the random messageToken of the notice is signed too.
func (k Keys) ReaderToken(notice int64, seq int, messageToken string) string {
	return k.sign(ofReader, messageToken, notice, int64(seq))
}

// ReaderOf returns the delivery that a reader's token names, whether or not it admits: see Admits. Its error is ErrToken.
func ReaderOf(token string) (notice int64, seq int, err error) {
	numbers, _, _, err := parse(ofReader, token)
	if err != nil || numbers[1] > math.MaxInt32 {
		return 0, 0, ErrToken
	}
	return numbers[0], int(numbers[1]), nil
}

// Admits reports whether a token, in whatever case it comes, is that of the reader of a delivery.
func (k Keys) Admits(token string, notice int64, seq int, messageToken string) (admits bool) {
	for i := range k {
		own := k[i:].ReaderToken(notice, seq, messageToken)
		admits = hmac.Equal([]byte(strings.ToLower(token)), []byte(own)) || admits
	}
	return admits
}

// sign returns the token of some numbers; more is signed with them, and not in it.
func (k Keys) sign(of kind, more string, numbers ...int64) string {
	raw := make([]byte, 0, of.numbers*binary.MaxVarintLen64+of.mac)
	for _, number := range numbers {
		raw = binary.AppendUvarint(raw, uint64(number))
	}
	return tokenText.EncodeToString(append(raw, of.sum(k[0], raw, more)...))
}

// parse returns the numbers of a token, their bytes and the MAC, which nobody has compared yet.
func parse(of kind, token string) (numbers []int64, signed, sum []byte, err error) {
	token = strings.ToLower(token)
	raw, err := tokenText.DecodeString(token)
	// Base32 of these bytes can be written in several ways; only one was sent out.
	if err != nil || len(raw) <= of.mac || tokenText.EncodeToString(raw) != token {
		return nil, nil, nil, ErrToken
	}
	signed, sum = raw[:len(raw)-of.mac], raw[len(raw)-of.mac:]
	rest := signed
	for range of.numbers {
		number, size := binary.Uvarint(rest)
		if size <= 0 || number > math.MaxInt64 {
			return nil, nil, nil, ErrToken
		}
		numbers, rest = append(numbers, int64(number)), rest[size:]
	}
	if len(rest) > 0 {
		return nil, nil, nil, ErrToken
	}
	return numbers, signed, sum, nil
}

// Find returns the attempt of the first token of ours in the addresses. The token may stand anywhere in a local part:
// forwarders wrap an envelope sender into one of their own (SRS).
func (k Keys) Find(addresses []string) (Attempt, bool) {
	for _, address := range addresses {
		words := strings.FieldsFunc(address, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '2' && r <= '7')
		})
		for _, word := range words {
			if len(word) < minToken || len(word) > maxToken {
				continue
			}
			if a, err := k.Attempt(word); err == nil {
				return a, true
			}
		}
	}
	return Attempt{}, false
}

// sum signs the numbers of a token, and more.
func (of kind) sum(key, numbers []byte, more string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(of.label))
	h.Write(numbers)
	h.Write([]byte(more))
	return h.Sum(nil)[:of.mac]
}
