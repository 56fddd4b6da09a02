//go:build !race

package main

const together = 4 // tests at once, for each core
