package main

import "syscall"

// dieWithUs has the kernel end a child when we end, however that is.
func dieWithUs(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
