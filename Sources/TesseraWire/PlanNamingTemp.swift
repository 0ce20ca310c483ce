public import TesseraCore
public enum PlanNaming { public static func name(_ plan: Plan) -> NamedPlan {
  var v: UInt64 = 0xcbf2_9ce4_8422_2325
  for b in "\(plan)".utf8 { v = (v ^ UInt64(b)) &* 0x100_0000_01b3 }
  return NamedPlan(id: PlanID(v, v, v, v), plan: plan) } }
