module kandev/launcher

go 1.26.8
