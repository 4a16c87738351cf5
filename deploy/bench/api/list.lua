-- Reads what the address says. Argument: bearer token.

function init(args)
  wrk.headers["Authorization"] = "Bearer " .. args[1]
end
