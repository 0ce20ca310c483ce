/// Stops the process with the message unless the condition holds: for our own bugs, never for what
/// the world or a peer did.
///
/// Unlike `precondition` it prints its message in release builds too.
@inlinable
public func invariant(
    _ condition: @autoclosure () -> Bool, _ message: @autoclosure () -> String,
    file: StaticString = #fileID, line: UInt = #line
) {
    if !condition() { fatalError(message(), file: file, line: line) }
}

/// Ends the process where a broken invariant leaves no value to go on with.
public func invariantFailure(
    _ message: @autoclosure () -> String, file: StaticString = #fileID, line: UInt = #line
) -> Never {
    fatalError(message(), file: file, line: line)
}
