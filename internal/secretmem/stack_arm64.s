#include "textflag.h"

// func clearStack()
//
// As on amd64. The stack pointer and the beginning of a stack are multiples
// of 16.
TEXT ·clearStack(SB), NOSPLIT|NOFRAME, $0-0
	MOVD 0(g), R0
	MOVD RSP, R1
	SUB  R0, R1, R2
	MOVD $0x40000000, R3
	CMP  R3, R2
	BHI  done
loop:
	CMP  R1, R0
	BHS  done
	STP.P (ZR, ZR), 16(R0)
	B    loop
done:
	RET
