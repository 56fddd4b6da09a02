package intake

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
)

// Account is a mailbox and the way to it.
type Account struct {
	Addr     string // host:port
	Implicit bool   // TLS from the first byte; else STARTTLS, or plain text to a loopback address
	User     string
	Password string
	Mailbox  string

	tls *tls.Config // nil: the authorities of the system
}

// ParseAccount reads a URL such as imaps://user:password@imap.example.net/INBOX. Its errors do not repeat it.
func ParseAccount(text string) (a Account, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "imap" && u.Scheme != "imaps" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
		return a, errors.New("is not a URL such as imaps://user:password@imap.example.net/INBOX; special characters of user and password are percent-encoded")
	}
	password, ok := u.User.Password()
	if u.User.Username() == "" || !ok {
		return a, errors.New("has no user and password: imaps://user:password@imap.example.net/INBOX")
	}
	a = Account{Implicit: u.Scheme == "imaps", User: u.User.Username(), Password: password, Mailbox: strings.TrimPrefix(u.Path, "/")}
	port := u.Port()
	if port == "" {
		port = map[bool]string{true: "993", false: "143"}[a.Implicit]
	}
	a.Addr = net.JoinHostPort(u.Hostname(), port)
	if a.Mailbox == "" {
		a.Mailbox = "INBOX"
	}
	return a, nil
}

// imapConn is a connection that is logged in.
type imapConn struct {
	*imapclient.Client
	news  chan struct{} // holds one once the server has told of new mails
	idles bool          // the server offers IDLE
}

const (
	// answerTime is how long a server may take for a command.
	answerTime = 2 * time.Minute
	dialTime   = 30 * time.Second
)

// do runs a command, and cuts the connection where that takes too long.
func (c *imapConn) do(command func() error) error {
	guard := time.AfterFunc(answerTime, func() { c.Close() })
	defer guard.Stop()
	return command()
}

// connect logs in.
func (a Account) connect(ctx context.Context) (*imapConn, error) {
	c := &imapConn{news: make(chan struct{}, 1)}
	var err error
	if c.Client, err = a.dial(ctx, c.told); err != nil {
		return nil, fmt.Errorf("connect to the IMAP server: %w", err)
	}
	if err := c.do(func() error { return a.login(c.Client) }); err != nil {
		c.Close()
		return nil, fmt.Errorf("log in to the IMAP server: %w", err)
	}
	c.idles = c.Caps().Has(imap.CapIdle)
	return c, nil
}

// told takes in that the mailbox has changed.
func (c *imapConn) told(data *imapclient.UnilateralDataMailbox) {
	if data.NumMessages == nil {
		return
	}
	select {
	case c.news <- struct{}{}:
	default:
	}
}

func (a Account) dial(ctx context.Context, told func(*imapclient.UnilateralDataMailbox)) (*imapclient.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", a.Addr)
	if err != nil {
		return nil, err
	}
	host, _, _ := net.SplitHostPort(a.Addr)
	secure := &tls.Config{}
	if a.tls != nil {
		secure = a.tls.Clone()
	}
	secure.ServerName = host
	options := &imapclient.Options{TLSConfig: secure, UnilateralDataHandler: &imapclient.UnilateralDataHandler{Mailbox: told}}
	switch {
	case a.Implicit:
		over := tls.Client(conn, secure)
		if err := over.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		return imapclient.New(over, options), nil
	case loopback(host):
		return imapclient.New(conn, options), nil
	}
	guard := time.AfterFunc(dialTime, func() { conn.Close() })
	defer guard.Stop()
	return imapclient.NewStartTLS(conn, options)
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// login uses SASL where the server wants it.
func (a Account) login(c *imapclient.Client) error {
	if err := c.WaitGreeting(); err != nil {
		return err
	}
	if c.Caps().Has(imap.AuthCap(sasl.Plain)) {
		return c.Authenticate(sasl.NewPlainClient("", a.User, a.Password))
	}
	return c.Login(a.User, a.Password).Wait()
}
