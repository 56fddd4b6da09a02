package main

import (
	"fmt"
	"os"
	"os/user"

	"tocsin/internal/api"
)

// remote is part of every command that speaks to the API.
type remote struct{}

// client returns a client of the API that acts in the name of the user at the terminal.
func (a *app) client() (*api.Client, error) {
	c, err := a.settings.Client()
	if err != nil {
		return nil, usage(err)
	}
	return api.NewClient(c.URL, c.Token(), operator())
}

// operator names the user and the machine, as far as they are known.
func operator() string {
	name := fmt.Sprintf("uid %d", os.Getuid()) // in a container users often have no name
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		return name
	}
	return name + "@" + host
}
