package local

import "syscall"

// dieWithUs has the kernel send the signal to the child when we end. The watchdog does the same and more, but it may
// be killed with us.
func dieWithUs(attr *syscall.SysProcAttr, signal syscall.Signal) { attr.Pdeathsig = signal }
