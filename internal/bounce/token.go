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

// Attempt names one attempt of one delivery: the notice, the delivery's number in it and the epoch of the claim, as the
// ledger counts them. None is negative.
type Attempt struct {
	Notice int64
	Seq    int
	Epoch  int64
}

// TokenPrefix stands before the token in the local part of an envelope sender: bounces+<token>@example.net. With it a
// local part has at most 64 octets, the limit of RFC 5321 §4.5.3.1.1, and about 42 for the numbers of today.
const TokenPrefix = "bounces+"

// Keys are the secrets that tokens are signed with. The first one signs; each is accepted, so that a key can be replaced
// while mails with tokens of the one before may still come back. A key wants 16 random bytes or more.
type Keys [][]byte

const (
	macSize = 8 // of 32 bytes: a forger has one try a mail, and no way to see how near it came
	// A token is three numbers of at least one byte, and the MAC.
	minToken, maxToken = ((3+macSize)*8 + 4) / 5, ((3*binary.MaxVarintLen64-3+macSize)*8 + 4) / 5
)

// tokenLabel keeps a MAC of a token from being one of anything else that the same key may sign.
const tokenLabel = "tocsin bounce token 1\x00"

// tokenText is RFC 4648 §6 in lower case: mail systems may change the case of a local part, and lower case is read by
// any of them.
var tokenText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ErrToken says that a text is no token, or none that these keys signed.
var ErrToken = errors.New("it is no token of ours")

// Token returns the token of an attempt: lower-case base32 of its numbers and a MAC.
func (k Keys) Token(a Attempt) string {
	raw := make([]byte, 0, 3*binary.MaxVarintLen64+macSize)
	for _, number := range []int64{a.Notice, int64(a.Seq), a.Epoch} {
		raw = binary.AppendUvarint(raw, uint64(number))
	}
	return tokenText.EncodeToString(append(raw, mac(k[0], raw)...))
}

// Attempt returns the attempt that a token names, in whatever case it comes. Its error is ErrToken.
func (k Keys) Attempt(token string) (Attempt, error) {
	token = strings.ToLower(token)
	raw, err := tokenText.DecodeString(token)
	// Base32 of these bytes can be written in several ways; only one was sent out.
	if err != nil || len(raw) <= macSize || tokenText.EncodeToString(raw) != token {
		return Attempt{}, ErrToken
	}
	signed, sum := raw[:len(raw)-macSize], raw[len(raw)-macSize:]
	known := false
	for _, key := range k {
		known = hmac.Equal(sum, mac(key, signed)) || known
	}
	if !known {
		return Attempt{}, ErrToken
	}
	var numbers [3]int64
	for i := range numbers {
		number, size := binary.Uvarint(signed)
		if size <= 0 || number > math.MaxInt64 {
			return Attempt{}, ErrToken
		}
		numbers[i], signed = int64(number), signed[size:]
	}
	if len(signed) > 0 {
		return Attempt{}, ErrToken
	}
	return Attempt{Notice: numbers[0], Seq: int(numbers[1]), Epoch: numbers[2]}, nil
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

// mac signs the numbers of a token.
func mac(key, numbers []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(tokenLabel))
	h.Write(numbers)
	return h.Sum(nil)[:macSize]
}
