package fault

// UsedRatio is the used part of the file system as df counts it: what the
// root user keeps for itself (the reserved blocks) is neither used nor
// available. False when the file system has no blocks.
func (f Filesystem) UsedRatio() (float64, bool) {
	used := f.Size - f.Free
	if used+f.Avail <= 0 {
		return 0, false
	}
	return used / (used + f.Avail), true
}
