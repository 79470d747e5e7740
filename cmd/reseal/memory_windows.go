package main

func harden() {}

func coreFiles() bool { return false }

func freeDisk(string) (uint64, bool) { return 0, false }
