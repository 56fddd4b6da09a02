package console

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"tocsin/internal/notice"
)

// The cost of a new hash: the least that OWASP's cheat sheet asks for of argon2id. A kept hash brings its own.
const (
	costTime   = 2
	costMemory = 19 << 10 // KiB
	costLanes  = 1
)

// hashing bounds how many passwords are hashed at once, each with 19 MiB.
var hashing = make(chan struct{}, 4)

// checkPassword reports why a password is refused. Its length alone matters (NIST SP 800-63B).
func checkPassword(password string) error {
	switch n := utf8.RuneCountInString(password); {
	case n < 12:
		return notice.Invalid("password", "has less than 12 characters")
	case len(password) > 512:
		return notice.Invalid("password", "is longer than 512 bytes")
	}
	return nil
}

// hashPassword returns the argon2id hash (RFC 9106) of a password as a PHC string.
func hashPassword(password string) string {
	salt := make([]byte, 16)
	rand.Read(salt) // never fails (crypto/rand)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, costMemory, costTime, costLanes,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(derive(password, salt, costTime, costMemory, costLanes, 32)))
}

func derive(password string, salt []byte, time, memory uint32, lanes uint8, length int) []byte {
	hashing <- struct{}{}
	defer func() { <-hashing }()
	return argon2.IDKey([]byte(password), salt, time, memory, lanes, uint32(length))
}

// isPassword reports whether the PHC string is a hash of the password. "" is no hash of any, and takes as long.
func isPassword(password, phc string) bool {
	known := phc != ""
	if !known {
		phc = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	}
	var version int
	var memory, time uint32
	var lanes uint8
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false
	}
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &time, &lanes); err != nil || version != argon2.Version {
		return false
	}
	salt, saltErr := base64.RawStdEncoding.DecodeString(parts[4])
	want, err := base64.RawStdEncoding.DecodeString(parts[5])
	if saltErr != nil || err != nil || len(want) == 0 {
		return false
	}
	return subtle.ConstantTimeCompare(derive(password, salt, time, memory, lanes, len(want)), want) == 1 && known
}
