/// A bug planted in the simulated shell, so that a test can see its checker fire.
enum Sabotage {
    /// A slice arrives under the name of another attempt that is open.
    case swapsAttempts
    /// The engine's result is told twice.
    case tellsResultTwice
    /// The engine leaves out the last operator of a fragment.
    case skipsOperator
    /// A client is answered twice.
    case answersTwice
    /// A client is never answered.
    case answersNever
}
