package send

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"
)

const (
	tokenKept    = time.Minute // for how long the output of a token's command is used again
	tokenTimeout = 20 * time.Second
)

// tokens keeps the access token that a relay's command printed. It is safe for concurrent use.
type tokens struct {
	mu   sync.Mutex
	text string
	at   time.Time
}

func (r *relayState) hasToken() bool { return r.TokenFile != "" || len(r.TokenCommand) > 0 }

// secret is the password of the relay's user, or an access token. Files and commands are asked anew, as tokens end soon;
// connections that are opened together run a command once.
func (r *relayState) secret(ctx context.Context) (string, error) {
	switch {
	case r.TokenFile != "":
		text, err := os.ReadFile(r.TokenFile)
		return accessToken(text, err, "token_file "+r.TokenFile)
	case len(r.TokenCommand) > 0:
		return r.tokens.run(ctx, r.TokenCommand)
	}
	return r.Password, nil
}

func (t *tokens) run(ctx context.Context, command []string) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.text != "" && time.Since(t.at) < tokenKept {
		return t.text, nil
	}
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	token, err := accessToken(out, err, "token_command "+command[0])
	if err == nil {
		t.text, t.at = token, time.Now()
	}
	return token, err
}

// forgetToken has the next connection ask for another token than the one that was refused.
func (r *relayState) forgetToken(refused string) {
	r.tokens.mu.Lock()
	defer r.tokens.mu.Unlock()
	if r.tokens.text == refused {
		r.tokens.text = ""
	}
}

// accessToken cuts space and a byte order mark off a token. The error never shows it.
func accessToken(text []byte, err error, of string) (string, error) {
	if err != nil {
		return "", fmt.Errorf("%s: %w", of, err)
	}
	token := bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\uFEFF")))
	if len(token) == 0 || bytes.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return "", fmt.Errorf("%s: %w", of, errors.New("holds no access token, which is one word"))
	}
	return string(token), nil
}
