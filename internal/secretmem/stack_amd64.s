#include "textflag.h"

// func clearStack()
//
// Everything below the stack pointer is free: no frame, no signal handler (they
// have a stack of their own), and no preemption, which does not happen in
// assembly. The first word of g is where its stack begins.
TEXT ·clearStack(SB), NOSPLIT, $0-0
	MOVQ (TLS), AX
	MOVQ 0(AX), DI
	MOVQ SP, CX
	SUBQ DI, CX
	JLS  done
	CMPQ CX, $0x40000000
	JHI  done
	XORL AX, AX
	CLD
	REP; STOSB
done:
	RET
