-- Reads objects by name, chosen at random. Arguments: file with a name a line, bearer token.

function init(args)
  names = {}
  for name in io.lines(args[1]) do
    names[#names + 1] = name
  end
  wrk.headers["Authorization"] = "Bearer " .. args[2]
  base = wrk.path
end

function request()
  return wrk.format(nil, base .. "/" .. names[math.random(#names)])
end
