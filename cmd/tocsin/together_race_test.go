//go:build race

package main

const together = 2 // tests at once, for each core
