package configfile

// nonBlocking is 0: Windows has no FIFOs in folders.
const nonBlocking = 0
