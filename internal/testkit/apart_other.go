//go:build !linux

package testkit

import (
	"errors"
	"testing"
)

// Apart runs nothing here: only Linux has processes with mounts and a network of their own.
func Apart(*testing.T) (inside bool, err error) {
	return false, errors.New("only Linux has processes with mounts and a network of their own")
}
