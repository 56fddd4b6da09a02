//go:build !linux

package main

import (
	"errors"
	"net"
	"testing"
)

type smallDisk struct{ dir string }

func newSmallDisk(*testing.T) (*smallDisk, error) {
	return nil, errors.New("a file system of its own is mounted on Linux alone")
}

func (*smallDisk) fill() error  { return nil }
func (*smallDisk) empty() error { return nil }

type firewall struct{}

func fetchFirewall(*testing.T) {}

func newFirewall(*testing.T) (*firewall, error) {
	return nil, errors.New("a network of its own is had on Linux alone")
}

func (*firewall) drop(int, ...net.Addr) error { return nil }
