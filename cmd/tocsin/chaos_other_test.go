//go:build !linux

package main

import (
	"errors"
	"testing"
)

func ownMounts() {}

type smallDisk struct{ dir string }

func newSmallDisk(*testing.T) (*smallDisk, error) {
	return nil, errors.New("a file system of its own is mounted on Linux alone")
}

func (*smallDisk) fill() error  { return nil }
func (*smallDisk) empty() error { return nil }
