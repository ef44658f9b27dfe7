import WorkUnits

/// Listens for signals while `body` runs. From the first line of a command on: reading a large model's
/// checksums takes a while, and a signal meanwhile should end it with 75 too.
func hearingSignals(_ body: (StopFlag) throws -> Void) rethrows {
    let stop = StopFlag()
    stop.listen()
    try body(stop)
}
